"""Reads the fleet file and the wanted configurations that it names."""

from pathlib import Path

from schemas import fleet, tap
from schemas.errors import InputError
from schemas.fleet import Fleet
from schemas.tap import TapConfiguration
from services.fleet.documents import read_document


def load_fleet(path: Path) -> Fleet:
    """Read a fleet file, and make sure of every configuration that it names.

    Raises:
        InputError: every fault of the file, or every fault of the configurations.
    """
    loaded = read_document(path, Fleet, fleet.cross_faults)
    faults: dict[str, None] = {}
    for configuration in dict.fromkeys(one.configuration for one in loaded.taps.values()):
        try:
            load_configuration(configuration)
        except InputError as error:
            faults |= dict.fromkeys(error.faults)
    if faults:
        raise InputError(list(faults))
    return loaded


def load_configuration(path: Path) -> TapConfiguration:
    """Read a wanted configuration.

    Raises:
        InputError: every fault of it.
    """
    return read_document(path, TapConfiguration, tap.cross_faults)
