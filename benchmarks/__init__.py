"""Programs that make what the repository ships or states: weights, tables, timings."""
