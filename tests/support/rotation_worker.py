"""A worker that rotates a key and dies of it: in this process, or as a process of its own that the kernel ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from infra.ledger import Ledger
from schemas.fleet import TwonDevice
from services.fleet.twon import ClientSession
from tests.support.rotation import HandClock, House, Killed, TwinHouse

_ROOT: Final = Path(__file__).parents[2]


def killed() -> None:
    """The worker is gone, as far as this process can tell.

    Raises:
        Killed: always.
    """
    raise Killed


def dying(act: Callable[..., Any], *, at: int, after: bool, end: Callable[[], None] = killed) -> Callable[..., Any]:
    """The same, but a worker dies at its call of that number, before or after it."""
    calls = count(1)

    def wrapped(*given: Any, **named: Any) -> Any:
        number = next(calls)
        if number == at and not after:
            end()
        result = act(*given, **named)
        if number == at and after:
            end()
        return result

    return wrapped


def work_in_a_process(house: TwinHouse, database_url: str, *, what: str, at: int, after: bool) -> int:
    """Let another process work, that is killed at a call of that number; give how it ended."""
    order = {
        "database": database_url,
        "now": house.clock().isoformat(),
        "devices": [device.model_dump(mode="json") for device in house.devices],
        "death": {"what": what, "at": at, "after": after},
    }
    command = [sys.executable, "-m", __name__]
    ended = subprocess.run(command, input=json.dumps(order).encode(), cwd=_ROOT, check=False, timeout=120)
    return ended.returncode


def main() -> None:
    """Work once, as the order on the standard input says."""
    order = json.load(sys.stdin)
    ledger = Ledger(order["database"])
    devices = [TwonDevice.model_validate(device) for device in order["devices"]]
    house = House(ledger, HandClock(datetime.fromisoformat(order["now"])), devices)
    death = order["death"]
    owner: object = {"write": ClientSession, "settle": house.keys}[death["what"]]
    act = getattr(owner, death["what"])
    end = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731 - one word for one deed
    setattr(owner, death["what"], dying(act, at=death["at"], after=death["after"], end=end))
    house.work()


if __name__ == "__main__":
    main()
