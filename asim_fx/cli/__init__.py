"""The commands. Nothing here imports torch before it is needed."""
