"""What belongs to us: ledger, Redis, disk, playbook, vault, sweep, workers."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from infra.broker import CONTROL
from infra.coordination import Coordination
from infra.ledger import Ledger, check_schema
from infra.meters import alive
from infra.settings import Settings
from schemas.errors import InputError
from schemas.fleet import Fleet
from services.cli.examination.findings import Finding, fault, ok, unused, warning
from services.cli.output import counted
from services.clients.guards import Guards
from services.fleet import Inventory
from services.wiring import active_playbook, now, open_vault

MOST_SKEW: Final = timedelta(seconds=5)
"""Between two clocks: leases are counted in seconds."""

LEAST_FREE: Final = 500 * 1024 * 1024
"""Bytes on the disk of the ledger."""

SWEEPS_MISSED: Final = 5

MIGRATE: Final = "run: keyturn migrate; with a newer ledger, install the newer Keyturn"
REACH: Final = "is the server of DATABASE_URL running, is its disk full, and may this user write there?"


@dataclass(slots=True)
class Patient:
    """An installation.

    Attributes:
        guards: what every call of an outside system passes, with the way to Redis.
        free: gives the free bytes of the disk that a folder is on.
    """

    settings: Settings
    ledger: Ledger
    guards: Guards
    clock: Callable[[], datetime] = now
    free: Callable[[Path], int] = field(default=lambda folder: shutil.disk_usage(folder).free)

    @property
    def coordination(self) -> Coordination:
        """The way to Redis."""
        return self.guards.coordination

    def fleet(self) -> Fleet:
        """The inventory; an empty one where it cannot be read, which is told elsewhere."""
        try:
            return Inventory(self.ledger).current()
        except InputError:
            return Fleet()


def schema(patient: Patient) -> Iterator[Finding]:
    """Whether the ledger is there and of our making."""
    check_schema(patient.ledger.database)
    kind = "SQLite" if patient.ledger.database.is_sqlite else "PostgreSQL"
    yield ok("ledger", f"{kind}, with the schema of this version")


def writable(patient: Patient) -> Iterator[Finding]:
    """Whether a commit works, and what time it is there."""
    patient.ledger.upkeep.note("doctor", patient.clock())
    yield ok("ledger writable", "a commit works")
    told = patient.ledger.gauges.clock()
    if told is None:
        return
    skew = abs(told - patient.clock())
    if skew > MOST_SKEW:
        text = f"the clock of the database differs from ours by {skew.total_seconds():.0f} s"
        yield fault("ledger clock", text, "set both machines' clocks by NTP: leases are counted in seconds")
    else:
        yield ok("ledger clock", f"differs by {skew.total_seconds():.1f} s")


def inventory(patient: Patient) -> Iterator[Finding]:
    """Whether the inventory can be read."""
    fleet = Inventory(patient.ledger).current()
    counts = {"site": len(fleet.sites), "Tap": len(fleet.taps), "2N device": len(fleet.twon)}
    yield ok("inventory", ", ".join(counted(count, thing) for thing, count in counts.items()))


def playbook(patient: Patient) -> Iterator[Finding]:
    """Whether the playbook in force can be loaded, as workers do when they start."""
    version = patient.ledger.playbooks.active()
    which = "that of the settings" if version is None else f"version {version}"
    try:
        rules = active_playbook(patient.settings, patient.ledger)().document.rules
    except InputError as error:
        where = "the file of KEYTURN_PLAYBOOK_FILE" if version is None else "it"
        advice = (
            f"correct {where}, or run: keyturn playbook activate with one that has no fault; then start the workers"
        )
        yield fault("playbook", f"{which} is in force and cannot be loaded: {error}", advice)
        return
    yield ok("playbook", f"{which}, with {counted(len(rules), 'rule')}")


def reach_redis(patient: Patient) -> Iterator[Finding]:
    """Whether Redis takes and gives."""
    if patient.coordination.put("doctor", b"1", ttl=5.0) and patient.coordination.get("doctor") == b"1":
        yield ok("Redis", "takes and gives values")
        return
    text = "does not answer, or refuses the password: no task is delivered; rates and breakers hold per process"
    yield fault("Redis", text, "start it, or correct REDIS_URL; it may be empty, nothing is kept there")


def disk(patient: Patient) -> Iterator[Finding]:
    """Whether there is room."""
    folder = patient.settings.data_dir
    if not folder.is_dir():
        yield unused("disk", f"the folder {folder} is not there yet")
        return
    free = patient.free(folder)
    told = f"{free / 1024**3:.1f} GB free at {folder}"
    if free < LEAST_FREE:
        advice = "make room: without any, webhooks get 503; KEYTURN_RETENTION_DAYS says how long old work is kept"
        yield fault("disk", told, advice)
    else:
        yield ok("disk", told)


def vault(patient: Patient) -> Iterator[Finding]:
    """Whether every secret opens."""
    if patient.settings.vault_keys is None:
        count = sum(patient.ledger.secrets.counts().values())
        if count:
            advice = "set KEYTURN_VAULT_KEYS or KEYTURN_VAULT_KEYS_FILE to the ring that sealed them"
            yield fault("vault", f"holds {counted(count, 'secret')}, and there is no key ring to open any", advice)
        else:
            yield unused("vault", "there is no key ring, and no secret either")
        return
    uses = open_vault(patient.settings, patient.ledger).uses()
    missing = [use for use in uses if use.values and not use.in_ring]
    closed = sum(use.closed for use in uses)
    if missing:
        names = ", ".join(repr(use.key_id) for use in missing)
        text = f"holds {counted(sum(use.values for use in missing), 'secret')} sealed by {names}, which the ring lacks"
        yield fault("vault", text, "put the lost line back into KEYTURN_VAULT_KEYS, or put those secrets in anew")
    elif closed:
        text = f"cannot open {counted(closed, 'secret')}: changed, or another ring key has the id of the right one"
        yield fault("vault", text, "restore the right ring, or put those secrets in anew")
    elif any(use.values and not use.newest for use in uses):
        yield warning("vault", "every secret opens, some by an older ring key", "run: keyturn vault reseal")
    else:
        yield ok("vault", f"every secret opens, {sum(use.values for use in uses)} in all")


def swept(patient: Patient) -> Iterator[Finding]:
    """Whether the ledger is swept."""
    last = patient.ledger.upkeep.noted("last_sweep")
    advice = "start: keyturn beat, and keyturn worker -Q control"
    if last is None:
        yield fault("sweep", "the ledger was never swept", advice)
        return
    age = (patient.clock() - last).total_seconds()
    told = f"the last one was {age:.0f} s ago"
    late = age > SWEEPS_MISSED * patient.settings.sweep_every + 1
    yield fault("sweep", told, advice) if late else ok("sweep", told)


def workers(patient: Patient) -> Iterator[Finding]:
    """Whether each queue that is needed has a worker."""
    living = alive(patient.coordination)
    if living is None:
        yield unused("workers", "only Redis could tell")
        return
    for queue in needed_queues(patient):
        count = sum(queue in queues for queues in living.values())
        check = f"workers of {queue}"
        if count:
            yield ok(check, f"{count} alive")
        else:
            yield fault(check, "none alive", f"start: keyturn worker -Q {queue}; if it runs, look at its log")


def needed_queues(patient: Patient) -> list[str]:
    """The queues in which work may come."""
    fleet, settings = patient.fleet(), patient.settings
    wanted = {
        CONTROL: True,
        "ublox": settings.ublox_base_url is not None,
        "tap": bool(fleet.taps),
        "twon": bool(fleet.twon),
        "centagate": settings.centagate_base_url is not None,
    }
    return [queue for queue, is_wanted in wanted.items() if is_wanted]
