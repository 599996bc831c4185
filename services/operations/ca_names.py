"""The name of a root CA's successor, where nobody gave one."""

import re
from datetime import datetime
from typing import Final

LONGEST: Final = 45
"""Characters of a CA's name; source: Security Services REST APIs 1.1.29, ``/ztp/rootca/create``."""

_DATED: Final = re.compile(r"-\d{6}(\d{2})?$")


def successor_name(name: str, moment: datetime) -> str:
    """The name without its month and with the one of the moment, such as ``acme-202611``; never the name itself."""
    stem = _DATED.sub("", name)
    found = _capped(stem, f"-{moment:%Y%m}")
    return found if found != name else _capped(stem, f"-{moment:%Y%m%d}")


def _capped(stem: str, end: str) -> str:
    return stem[: LONGEST - len(end)] + end
