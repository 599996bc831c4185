"""The fleet file, the documents that it names, and the way to each Tap."""

from services.fleet.loader import load_configuration, load_fleet

__all__ = ["load_configuration", "load_fleet"]
