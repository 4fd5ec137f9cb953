"""Energy, latency and area of a mapping, from plans alone: one file for each model, every figure with its band."""
