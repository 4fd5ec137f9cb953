"""What happens between the cells and the converter: one effect a file, each a plain function that refines a read."""
