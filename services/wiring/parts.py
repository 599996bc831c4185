"""The parts that work: the desk of manual triggers, the planner, the runner, and what does the work of schedules."""

import os
import secrets
import socket
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from infra.broker import Ring
from infra.ledger import Ledger
from infra.settings import Settings
from infra.vault import KeyRing
from services.clients.guards import Guards
from services.fleet import Inventory
from services.operations.contract import NO_UBLOX
from services.planner import Planner
from services.runner import Runner, Terms
from services.schedules import Beat, Means, Performer, Wanted
from services.schedules import Terms as ScheduleTerms
from services.settling import Patience
from services.triggers import Desk, Looker
from services.wiring.basics import active_playbook, now
from services.wiring.outside import SYSTEMS, make_tools, make_ublox


def make_desk(settings: Settings, ledger: Ledger, *, clock: Callable[[], datetime] = now) -> Desk:
    """Make the desk where manual triggers are asked for; it asks no outside system before somebody wants diffs."""
    rules = active_playbook(settings, ledger)
    looker = Looker(lambda system: make_tools(settings, ledger, serves={system}), clock=clock)
    return Desk(ledger, fleet=Inventory(ledger).current, playbook=rules, clock=clock, looker=looker)


def make_planner(settings: Settings, ledger: Ledger, ring: Ring) -> Planner:
    """Make the planner with the playbook in force."""
    rules = active_playbook(settings, ledger)
    rules()  # a fault is found now, not at the first event
    return Planner(ledger, rules, ring=ring, clock=now)


def make_runner(
    settings: Settings,
    ledger: Ledger,
    ring: Ring,
    guards: Guards | None = None,
    *,
    serves: Collection[str] = SYSTEMS,
) -> Runner:
    """Make the runner with the tools of the queues that it serves."""
    guards = guards or Guards(settings)
    tools = make_tools(settings, ledger, guards, serves=serves)
    rules = active_playbook(settings, ledger)
    rules()  # a playbook that cannot be read is told now, and not when a job has done its work
    terms = Terms(
        worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        lease=timedelta(seconds=settings.lease),
        linger=settings.bulk_linger,
        patience=Patience(max_attempts=settings.max_attempts, base=settings.retry_base, cap=settings.retry_cap),
        budget_of=lambda operation: rules().budget_of(operation),
    )
    return Runner(ledger, tools, terms, ring=ring, clock=now, meters=guards.meters)


def make_beat(settings: Settings, ledger: Ledger, ring: Ring) -> Beat:
    """Make what fires schedules."""
    return Beat(ledger, ring=ring, wanted=Wanted(ledger, active_playbook(settings, ledger)))


def make_performer(
    settings: Settings,
    ledger: Ledger,
    ring: Ring,
    guards: Guards | None = None,
    *,
    serves: Collection[str] = SYSTEMS,
) -> Performer:
    """Make what does the work of schedules; only a worker of the queue ublox has a u-blox client."""
    means = Means(
        ledger=ledger,
        ublox=make_ublox(settings, guards) if "ublox" in serves and settings.ublox_base_url else NO_UBLOX,
        ring=ring,
        clock=now,
        playbook=active_playbook(settings, ledger),
        fleet=Inventory(ledger).current,
        retention=timedelta(days=settings.retention_days),
        newest_seal=_newest_seal(settings),
        public_url=settings.public_url,
        webhook_tokens=settings.webhook_tokens,
    )
    return Performer(means, _terms_of_schedules(settings))


def _newest_seal(settings: Settings) -> str | None:
    return KeyRing.parse(settings.vault_keys.get_secret_value()).newest.id if settings.vault_keys else None


def _terms_of_schedules(settings: Settings) -> ScheduleTerms:
    return ScheduleTerms(
        worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        lease=timedelta(seconds=settings.lease),
        patience=Patience(max_attempts=settings.max_attempts, base=settings.retry_base, cap=settings.retry_cap),
    )
