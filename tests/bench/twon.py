"""The 2N story: one key is rotated over a thousand devices that take their time, and a part of which is silent.

A device of the twin holds each answer back for as long as a small device on a real network does; a silent one takes
the connection and says nothing. Measured is one attempt of the job in one worker process: until every device that
answers has the new key as a secondary one and was seen to have it; then, when the silent ones are back, until the key
is the primary one of all. The ideal is what nobody can do without: the time for which the twin made its callers wait,
spread over the worker's threads.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

from tests.bench.keyturn import CLI, data_folder
from tests.bench.processes import ROOT, DidNotRun, answers, process, surroundings, wait_until
from tests.support.ports import free_port

DEVICES: Final = 1_000
LATENCY_MS: Final = 200
SILENT_EVERY: Final = 20
"""One in so many devices does not answer: 5 %."""

SETTLED_SECONDS: Final = 12.0
"""After an attempt, until the last conversation that nobody waited for has ended."""


class Twin:
    """A thousand devices in a process of their own, by their own face."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=f"{self.url}/_twin", timeout=60, trust_env=False)

    def serials(self) -> list[str]:
        """The serial numbers."""
        return [device["serial"] for device in self.http.get("/devices").json()["devices"]]

    def turn(self, serial: str | None = None, **dials: object) -> None:
        """Turn dials of one device, or of all."""
        self.http.patch("/dials", json=dials, params={"serial": serial} if serial else {}).raise_for_status()

    def forget(self) -> None:
        """Start the counts again."""
        self.http.post("/stats/reset").raise_for_status()

    def waited(self) -> float:
        """Seconds for which callers were made to wait, once none waits any more."""
        time.sleep(SETTLED_SECONDS)
        return float(self.http.get("/stats").json()["waited_seconds"])


@contextmanager
def twin(count: int) -> Iterator[Twin]:
    """Run so many devices of one location."""
    port = free_port()
    command = [*CLI, "sandbox", "twon", "--port", "0", "--devices", str(count), "--location", "bench"]
    command += ["--firmware", "2.49", "--dials", str(port)]
    with data_folder() as data, process(command, name="twon-twin", folder=data) as child:
        wait_until(lambda: answers(port, "/_twin/stats"), what="the 2N twin", child=child)
        made = Twin(port)
        with made.http:
            yield made


@contextmanager
def worker(url: str) -> Iterator["Worker"]:
    """Run a worker process that has asked for a rotation and waits for the word."""
    command = [sys.executable, "-m", "tests.bench.twon_worker", url]
    with data_folder() as data:
        child = subprocess.Popen(
            [*command, str(data)],
            cwd=ROOT,
            env=surroundings(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Worker(child)
        finally:
            child.kill()
            child.communicate()


class Worker:
    """The other end of a worker's pipes."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child
        self.threads = int(self._told("threads")["threads"])

    def attempt(self, state: str) -> Mapping[str, Any]:
        """Let it try once, and tell how that went.

        Raises:
            DidNotRun: the job stands otherwise than it should.
        """
        if self._child.stdin is None:
            raise DidNotRun("the worker has no input")
        self._child.stdin.write("go\n")
        self._child.stdin.flush()
        found = self._told("state")
        if found["state"] != state:
            raise DidNotRun(f"the rotation is {found['state']}: {found['reason']}")
        return found

    def _told(self, key: str) -> Mapping[str, Any]:
        while self._child.stdout is not None and (line := self._child.stdout.readline()):
            if line.startswith("{") and key in (found := json.loads(line)):
                return dict(found)
        raise DidNotRun("the worker has ended")


def measure() -> dict[str, float]:
    """Rotate once, with the silent devices away and then back."""
    with twin(DEVICES) as devices:
        silent = devices.serials()[::SILENT_EVERY]
        devices.turn(latency_ms=LATENCY_MS)
        for serial in silent:
            devices.turn(serial, offline="silent")
        with worker(devices.url) as hand:
            first, ideal = stretch(devices, hand, "awaiting")
            print(f"{DEVICES - len(silent)} have the key, {len(silent)} are waited for: {shown(first, ideal)}")
            for serial in silent:
                devices.turn(serial, offline="no")
            second, ideal_of_second = stretch(devices, hand, "succeeded")
            print(f"all have it as their primary: {shown(second, ideal_of_second)}", flush=True)
    whole = first["seconds"] + second["seconds"]
    return {
        "twon_fanout_vs_ideal": first["seconds"] / ideal,
        "twon_fanout_seconds": first["seconds"],
        "twon_fanout_cpu_seconds": first["cpu"],
        "twon_rotation_vs_ideal": whole / (ideal + ideal_of_second),
        "twon_rotation_seconds": whole,
        "twon_rotation_cpu_seconds": first["cpu"] + second["cpu"],
    }


def stretch(devices: Twin, hand: Worker, state: str) -> tuple[Mapping[str, Any], float]:
    """Measure one attempt; give what the worker tells of it, and the ideal in seconds."""
    devices.forget()
    found = hand.attempt(state)
    return found, devices.waited() / hand.threads


def shown(found: Mapping[str, Any], ideal: float) -> str:
    """Write an attempt for a person."""
    return f"{found['seconds']:.1f} s, ideal {ideal:.1f} s, {found['cpu']:.1f} s of the worker's CPU"
