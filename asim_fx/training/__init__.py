"""Training of converted models: rounded, noisy, or through the simulated hardware itself."""
