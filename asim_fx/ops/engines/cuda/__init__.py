"""The fast engine for CUDA devices: tile sums on tensor cores, converted where they come out, in Triton."""
