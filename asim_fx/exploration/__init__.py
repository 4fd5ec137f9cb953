"""Explore hardware: sweeps over fields of a spec, and plans that choose the settings of every site."""
