"""The inventory of sites: taken in from documents, written out again, and the way to each of its Taps."""

from services.fleet.importing import Importer, ImportResult
from services.fleet.inventory import Inventory
from services.fleet.loader import load_configuration

__all__ = ["ImportResult", "Importer", "Inventory", "load_configuration"]
