"""Ways to compute one simulated operation: the plain one in torch, and faster ones that give the same bits."""
