"""The client of u-blox Security Services."""

from services.clients.ublox.caller import Dialect
from services.clients.ublox.client import Ublox

__all__ = ["Dialect", "Ublox"]
