"""Turns stored events into jobs, by the playbook in force: reads and decides without a lock, then writes in one
transaction. Between events and after them it makes the jobs of manual triggers.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson
import structlog

from infra.broker import PREFIX, Ring
from infra.ledger import Ledger, Plan, Planned, StoredEvent
from schemas.errors import LedgerUnavailable
from schemas.events import EventType, Notification, read_notification
from schemas.fleet import Fleet
from schemas.playbook import Decision
from services.fleet.inventory import Inventory
from services.fleet.remarks import idle_skips
from services.playbook import Playbook, WorkOf
from services.triggers import Maker

CHUNK: Final = 256
"""Events of one transaction: long enough to share a commit, short enough not to keep the receiver waiting."""

log = structlog.get_logger(__name__)


class Planner:
    """Plans whatever waits. Any number of processes may plan: each event has one winner."""

    def __init__(
        self,
        ledger: Ledger,
        playbook: Playbook | Callable[[], Playbook],
        *,
        ring: Ring,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._rules = _always(playbook) if isinstance(playbook, Playbook) else playbook
        self._maker = Maker(ledger, ring=ring, clock=clock)
        self._inventory = Inventory(ledger)
        self._ring = ring
        self._clock = clock
        self._turn = threading.Lock()
        self._asked = False

    def plan_waiting(self) -> int:
        """Plan every event and trigger that waits; give how many events. Another call at work gets it all."""
        done = 0
        self._asked = True
        while self._asked and self._turn.acquire(blocking=False):
            try:
                self._asked = False
                done += self._plan_all()
                while self._maker.step():
                    done += self._plan_all()  # a large trigger keeps no event waiting
            finally:
                self._turn.release()
        return done

    def _plan_all(self) -> int:
        done = 0
        while events := self._ledger.inbox.waiting(CHUNK):
            playbook, fleet = self._rules(), self._inventory.current()
            devices = (event.device for event in events if event.device)
            work_of = self._ledger.at_hand.among(devices, self._clock())
            planned = self._store([self._plan(event, playbook, fleet, work_of) for event in events])
            done += planned.events
            for operation, ids in planned.due.items():
                self._ring(PREFIX + operation, ids)
            log.info("events planned", events=planned.events, first=events[0].id, last=events[-1].id)
            if len(events) < CHUNK:
                break
        return done

    def _store(self, plans: list[Plan]) -> Planned:
        """Store plans together; where the ledger refuses them, one by one, so that a bad one stands alone."""
        try:
            return self._ledger.planning.store(plans, self._clock())
        except LedgerUnavailable:
            raise
        except Exception:
            log.exception("plans could not be stored", events=len(plans), first=plans[0].event_id)
            if len(plans) == 1:
                failed = Plan(event_id=plans[0].event_id, verdict="its plan could not be stored", fault=True)
                return self._ledger.planning.store([failed], self._clock())
        planned = Planned()
        for plan in plans:
            alone = self._store([plan])
            planned.events += alone.events
            for operation, ids in alone.due.items():
                planned.due.setdefault(operation, []).extend(ids)
        return planned

    def _plan(self, event: StoredEvent, playbook: Playbook, fleet: Fleet, work_of: WorkOf) -> Plan:
        try:
            notification = read_notification(orjson.loads(event.body))
            return self._told(event, notification, playbook, fleet, playbook.decide(notification, fleet, work_of))
        except LedgerUnavailable:
            raise
        except Exception as error:
            log.exception("an event could not be planned", event_id=event.id, receipt=event.receipt)
            return Plan(event_id=event.id, verdict=f"could not be planned: {type(error).__name__}", fault=True)

    def _told(
        self, event: StoredEvent, notification: Notification, playbook: Playbook, fleet: Fleet, decision: Decision
    ) -> Plan:
        for alert in decision.alerts:
            log.error("alert", alert=alert, event_id=event.id, device=notification.device)
        for note in decision.notes:
            log.warning("a rule could not be told", note=note, event_id=event.id)
        device = notification.device
        verdict = "; ".join((decision.verdict, *decision.notes, *_notes_on_site(device, playbook, fleet)))
        if not decision.jobs and not decision.confirms:
            return Plan(event_id=event.id, verdict=verdict)
        site = None if device is None else fleet.site_of(device)
        return Plan(
            event_id=event.id,
            verdict=verdict,
            jobs=[replace(job, site=site.name) for job in decision.jobs] if site else decision.jobs,
            confirms=[(operation, device) for operation in decision.confirms if device],
            evidence=evidence_of(notification, event.receipt),
        )


def _notes_on_site(device: str | None, playbook: Playbook, fleet: Fleet) -> Iterator[str]:
    """What of the site of the event's device does not do what its author will have thought."""
    if device is None:
        return
    if unreadable := fleet.unreadable_of(device):
        more = f", as {len(unreadable) - 1} more of its site" if len(unreadable) > 1 else ""
        yield f"left out: {unreadable[0]}{more}"
    if (site := fleet.site_of(device)) and site.skip_rules:
        yield from idle_skips(site.name, site.skip_rules, {rule.name for rule in playbook.document.rules})


def _always(playbook: Playbook) -> Callable[[], Playbook]:
    return lambda: playbook


def evidence_of(notification: Notification, receipt: str) -> dict[str, Any]:
    """What an event tells that its jobs should know: what it is and of when, and which certificate it is about."""
    evidence: dict[str, Any] = {"receipt": receipt, "type": notification.event_type}
    if notification.occurred_at is not None:
        evidence["occurred_at"] = notification.occurred_at.isoformat()
    if notification.event_type in {EventType.CERTIFICATE_EXPIRATION, EventType.CERTIFICATE_RENEWAL}:
        evidence["serial"] = notification.payload.get("CertificateSerialNumber")
        evidence["expires"] = notification.payload.get("ExpirationDate")
    return evidence
