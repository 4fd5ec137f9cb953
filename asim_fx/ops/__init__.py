"""What one compute-in-memory operation computes: codes, planes, reads, and the engine that puts them together."""
