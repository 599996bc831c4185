"""The schedules that Keyturn comes with. They are written where they are missing, and never over what people made."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from infra.ledger import Ledger
from schemas.playbook import Rule
from schemas.rhythm import rhythm_of
from schemas.schedules import RULE, RULE_PREFIX, Schedule, Spec
from services.playbook import Playbook
from services.schedules.rules import rules_of, schedule_of, spec_of

SHIPPED: Final[Mapping[str, tuple[str, Spec]]] = {
    "notification-catch-up": ("ublox.catch_up", Spec(every_seconds=900)),
    "certificate-scan": ("ublox.scan_certificates", Spec(cron="0 3 * * *", jitter_seconds=3600)),
    "clone-check": ("ublox.scan_clones", Spec(cron="30 4 * * *", jitter_seconds=3600)),
    "webhook-check": ("ublox.check_webhooks", Spec(cron="45 5 * * *", jitter_seconds=3600)),
    "mobile-key-age": ("mobile_keys.check_ages", Spec(cron="0 4 1 * *", jitter_seconds=3600)),
    "vault-seals": ("vault.check_seals", Spec(cron="0 5 * * *", jitter_seconds=3600)),
    "prune": ("ledger.prune", Spec(cron="15 2 * * *", jitter_seconds=3600)),
}
"""Name, action and specification; times are UTC."""


class Wanted:
    """The schedules that must be there: the shipped ones, and one for each rule with a schedule.

    Args:
        playbook: gives the playbook in force; None where only the shipped ones are wanted.
    """

    def __init__(self, ledger: Ledger, playbook: Callable[[], Playbook] | None = None) -> None:
        self._ledger = ledger
        self._playbook = playbook

    def __call__(self, known: Mapping[str, Schedule], now: datetime) -> Iterator[Schedule]:
        """Give those that are missing; bring those of rules to what the playbook says."""
        yield from (shipped(name, now) for name in SHIPPED if name not in known)
        if self._playbook is None:
            return
        rules = rules_of(self._playbook())
        self._follow(rules, known, now)
        yield from (schedule_of(rule, now) for rule in rules.values() if RULE_PREFIX + rule.name not in known)

    def _follow(self, rules: Mapping[str, Rule], known: Mapping[str, Schedule], now: datetime) -> None:
        mine = [schedule for schedule in known.values() if schedule.kind == RULE]
        gone = [schedule.name for schedule in mine if schedule.name.removeprefix(RULE_PREFIX) not in rules]
        if gone:
            self._ledger.schedules.drop(gone)
        for schedule in mine:
            rule = rules.get(schedule.name.removeprefix(RULE_PREFIX))
            if rule is not None and spec_of(rule) != schedule.spec:
                self._respecify(schedule.name, spec_of(rule), now)

    def _respecify(self, name: str, spec: Spec, now: datetime) -> None:
        """Change the row as it is by now: another beat may have moved it on."""
        with self._ledger.database.writing() as connection:
            schedule = self._ledger.schedules.find_in(connection, name)
            if schedule is not None and schedule.spec != spec:
                self._ledger.schedules.change(connection, respecified(schedule, spec, now))


def shipped(name: str, now: datetime) -> Schedule:
    """A shipped schedule as it is first written."""
    kind, spec = SHIPPED[name]
    due = rhythm_of(name, kind, spec).after(now)
    return Schedule(name=name, kind=kind, spec=spec, enabled=True, next_due=due, updated_at=now, revision=1)


def respecified(schedule: Schedule, spec: Spec, now: datetime, *, enabled: bool | None = None) -> Schedule:
    """A schedule with another specification. In another rhythm, or where it was off, what was due is due no more.

    Raises:
        InputError: the specification makes no sense.
    """
    due = rhythm_of(schedule.name, schedule.kind, spec).after(now)
    if schedule.enabled and spec.keeps_time_with(schedule.spec):
        due = schedule.next_due
    return Schedule(
        name=schedule.name,
        kind=schedule.kind,
        spec=spec,
        enabled=schedule.enabled if enabled is None else enabled,
        next_due=due,
        updated_at=now,
        revision=schedule.revision,
    )
