"""How long a test waits for what must come: much longer than any machine needs, so that only a failure ends it."""

import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 300.0
"""Seconds; a claim about time names its own."""


def eventually(true: Callable[[], object], what: str = "it", *, seconds: float = PATIENCE) -> float:
    """Wait until something is true; give how long that took, or fail."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began
