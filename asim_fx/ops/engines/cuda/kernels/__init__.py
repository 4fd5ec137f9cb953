"""The kernels of the CUDA engine. Triton reads their source, so they are without types and import nothing else."""
