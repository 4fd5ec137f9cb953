"""Labelled images from whatever ``--data`` names."""

from asim_fx.data.source import DataSource, open_data

__all__ = ["DataSource", "open_data"]
