"""Figures and tables of the ASiM paper (arXiv:2411.11022), one command each: `python -m benchmarks.reproduce.fig7`."""
