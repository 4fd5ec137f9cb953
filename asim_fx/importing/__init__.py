"""What was made for the published ASiM simulator, as specs and weights of this package."""
