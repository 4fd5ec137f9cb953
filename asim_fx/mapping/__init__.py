"""Which macros hold which weights, and when each of them works: placement and schedule, from plans alone."""

from asim_fx.mapping.schedule import Pool, Round, Schedule, Slot

__all__ = ["Pool", "Round", "Schedule", "Slot"]
