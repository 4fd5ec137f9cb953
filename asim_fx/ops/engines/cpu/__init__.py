"""The fast engine for the CPU: bits of 32 rows to a word, counted and converted side by side, in numba."""
