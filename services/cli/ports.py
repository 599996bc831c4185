"""Ports for parts that must know each other's address before they run."""

import itertools
import random
import socket
from collections.abc import Iterator, Sequence
from typing import Final

UNASSIGNED: Final = range(20_000, 32_768)
"""Below those that Linux gives to connections: one of them would now and then take a port before its part does."""


def free_ports(among: Sequence[int] = UNASSIGNED) -> Iterator[int]:
    """Give ports of this machine where nobody listens, in any order, each once in a round."""
    for port in itertools.cycle(random.sample(among, len(among))):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
