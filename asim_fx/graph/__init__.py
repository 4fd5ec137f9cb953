"""What passes share: reading, measuring and editing a captured graph."""
