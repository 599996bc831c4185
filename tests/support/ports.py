"""Ports for the servers of tests; tests that run beside each other never get the same one."""

import os
from typing import Final

from services.cli.ports import free_ports

_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 5
_PORTS: Final = free_ports(range(10_000 + 2_000 * _WORKER, 12_000 + 2_000 * _WORKER))


def free_port() -> int:
    """Give a port where nobody listens, and which no other test is given meanwhile."""
    return next(_PORTS)
