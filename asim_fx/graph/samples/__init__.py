"""Where the samples of a batch lie in every value of a graph: one rule for each kind of operation."""
