"""Schedules: moments that beats fire once, and actions that workers do once for each."""

from services.schedules.firing import Beat
from services.schedules.performing import Performer, Terms
from services.schedules.registry import ACTIONS
from services.schedules.shipped import Wanted
from services.schedules.turn import Means

__all__ = ["ACTIONS", "Beat", "Means", "Performer", "Terms", "Wanted"]
