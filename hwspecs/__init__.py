"""Hardware specs that ship with asim-fx."""
