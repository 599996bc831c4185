"""One worker process of the 2N story: the real runner with its default threads, one attempt for each line on stdin.

``python -m tests.bench.twon_worker URL FOLDER``: the twin's own face, and where the ledger goes. It asks for one
rotation of the twin's one location, and answers each line with a line of JSON.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx

from infra.ledger import Ledger, migrate
from infra.settings import Settings
from schemas.fleet import TwonDevice
from services.clients.twon import BOUNDS
from services.wiring import now
from tests.support.rotation import House, entry_of

THREADS: Final[int] = Settings.model_fields["worker_threads"].default


def inventory(url: str) -> list[TwonDevice]:
    """The twin's devices as the inventory has them."""
    devices = httpx.get(f"{url}/_twin/devices", timeout=30, trust_env=False).json()["devices"]
    return [entry_of(device["serial"], device["url"], device["location"]) for device in devices]


def attempt(house: House, job_id: int) -> dict[str, Any]:
    """Perform the job once it is due; give how long that took, of this process's own time too, and how it stands."""
    performed = 0
    while not performed:
        began, cpu = time.perf_counter(), time.process_time()
        performed = house.work()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        time.sleep(0 if performed else 0.05)
    job = house.job(job_id)
    return {"seconds": seconds, "cpu": cpu, "state": job["state"], "reason": job["reason"]}


def main() -> None:
    """Work until stdin ends."""
    url, folder = sys.argv[1:]
    ledger = Ledger(f"sqlite:///{Path(folder)}/keyturn.db")
    migrate(ledger.database)
    devices = inventory(url)
    house = House(ledger, now, devices, location=devices[0].location, bounds=BOUNDS, threads=THREADS)
    job_id = house.ask()
    print(json.dumps({"threads": THREADS, "silent_for": BOUNDS.read}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(attempt(house, job_id)), flush=True)
    house.close()
    ledger.close()


if __name__ == "__main__":
    main()
