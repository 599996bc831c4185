"""Reads the wanted configuration of a Tap."""

from pathlib import Path

from schemas import tap
from schemas.tap import TapConfiguration
from services.fleet.documents import read_document


def load_configuration(path: Path) -> TapConfiguration:
    """Read a wanted configuration.

    Raises:
        InputError: every fault of it.
    """
    return read_document(path, TapConfiguration, tap.cross_faults)
