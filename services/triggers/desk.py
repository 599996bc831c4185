"""The desk where a manual trigger is asked for: it is checked whole, shown without being done, or taken in at once."""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from infra.ledger import AuditEntry, Connection, Ledger
from infra.ledger.audit import write
from infra.ledger.foresight import foresee
from infra.ledger.holding import Said, words_of
from infra.ledger.triggers import Asked
from schemas.errors import InputError
from schemas.fleet import Fleet
from schemas.jobs import NewJob
from schemas.limits import Limits
from schemas.triggers import MOST_SHOWN, Aim, Expected, Held, NewTrigger, TriggerPreview
from services.operations import PARAMETERS
from services.playbook import Playbook
from services.playbook.checks import complete_parameters
from services.playbook.faults import choice
from services.triggers.calls import calls_of
from services.triggers.looking import Looker
from services.triggers.selection import aims_of

MOST_NAMES: Final = 100
"""Names of devices that are kept as they were asked for; their jobs name them all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A trigger that has passed every check.

    Attributes:
        limits: on which terms its jobs may run, the playbook's budget among them.
        notes: what a person should know.
    """

    operation: str
    parameters: dict[str, Any]
    aims: Sequence[Aim]
    limits: Limits | None
    asked: dict[str, Any]
    reason: str
    notes: tuple[str, ...]

    def jobs(self, trigger: str | None = None) -> list[NewJob]:
        """The wishes that it stands for."""
        return [
            NewJob(
                operation=self.operation,
                target=aim.target,
                parameters=self.parameters,
                site=aim.site,
                lock=aim.lock,
                trigger=trigger,
                limits=self.limits,
            )
            for aim in self.aims
        ]


class Desk:
    """Takes manual triggers."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        fleet: Callable[[], Fleet],
        playbook: Callable[[], Playbook],
        clock: Callable[[], datetime],
        looker: Looker | None = None,
    ) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._playbook = playbook
        self._clock = clock
        self._looker = looker

    def close(self) -> None:
        """Let go of the outside systems that dry runs have looked at."""
        if self._looker is not None:
            self._looker.close()

    def check(self, asked: NewTrigger) -> Order:
        """Check a request whole.

        Raises:
            InputError: every fault of it.
        """
        if asked.operation not in PARAMETERS:
            raise InputError([f"operation: {choice(asked.operation, PARAMETERS)}"])
        parameters = _parameters(asked)
        aims = aims_of(asked.operation, asked.targets, self._fleet(), self._ledger)
        limits, notes = self._limits(asked)
        strangers = sum(aim.site is None for aim in aims)
        if strangers:
            notes.append(f"{strangers} of the targets belong to no site of the inventory")
        return Order(
            operation=asked.operation,
            parameters=parameters,
            aims=aims,
            limits=limits,
            asked=_shortened(asked),
            reason=asked.reason,
            notes=tuple(notes),
        )

    def _limits(self, asked: NewTrigger) -> tuple[Limits | None, list[str]]:
        """A person is bound by the playbook's budget too; one of his own may be tighter, and not looser."""
        budget = self._playbook().budget_of(asked.operation)
        if budget is not None and asked.budget is not None and asked.budget.per_day > budget.per_day:
            raise InputError([f"budget: the playbook allows {budget.jobs} jobs per {budget.per}, and no more"])
        if budget is None or asked.budget is not None:
            return asked.limits, []
        note = f"the playbook's budget holds: {budget.jobs} {asked.operation} jobs per {budget.per}"
        return Limits(window=asked.window, approval=asked.approval, budget=budget), [note]

    def preview(self, order: Order, *, diffs: int = 0) -> TriggerPreview:
        """Tell what would follow, by what the ledger holds now; nothing is written.

        Args:
            order: what is asked for.
            diffs: of so many targets that no job serves already, outside systems are asked how they stand.
        """
        jobs = order.jobs()
        expected = foresee(self._ledger.database, jobs, self._clock())
        counts = Counter(one.then for one in expected)
        looked = [job for job, one in zip(jobs, expected, strict=True) if one.then != "served"][:diffs]
        return TriggerPreview(
            operation=order.operation,
            parameters=order.parameters,
            total=len(expected),
            due=counts["due"],
            held=counts["held"],
            served=counts["served"],
            holds=_holds(expected),
            calls=calls_of(order.operation, expected, self._fleet().locations),
            targets=expected[:MOST_SHOWN],
            diffs=[] if self._looker is None else self._looker.look(looked),
            notes=list(order.notes),
        )

    def known(self, key: str, request_hash: str) -> str | None:
        """The id of the trigger that was asked for under a key, if one was.

        Raises:
            InputError: the key was used for another request.
        """
        with self._ledger.database.reading() as connection:
            return self._known(connection, key, request_hash)

    def _known(self, connection: Connection, key: str, request_hash: str) -> str | None:
        known = self._ledger.triggers.known(connection, key)
        if known is not None and known[1] != request_hash:
            raise InputError(["this Idempotency-Key was used for another trigger; take a new one"])
        return None if known is None else known[0]

    def take(
        self, connection: Connection, order: Order, *, actor: str, key: str | None = None, request_hash: str = ""
    ) -> str:
        """Take a trigger in, in the caller's transaction, and record it; its jobs are made afterwards.

        Returns:
            its id; that of the first one, where the same was asked for before under the same key.

        Raises:
            InputError: the key was used for another request.
        """
        known = None if key is None else self._known(connection, key, request_hash)
        if known is not None:
            return known
        now = self._clock()
        asked = Asked(
            id=f"trg_{secrets.token_hex(12)}",
            actor=actor,
            at=now,
            operation=order.operation,
            parameters=order.parameters,
            asked=order.asked,
            aims=order.aims,
            limits=order.limits,
            reason=order.reason,
            key=key,
            request_hash=request_hash,
        )
        self._ledger.triggers.add(connection, asked)
        detail = {"operation": order.operation, "parameters": order.parameters, "targets": len(order.aims)}
        if order.limits is not None:
            detail["limits"] = order.limits.model_dump(mode="json", exclude_none=True)
        write(
            connection,
            AuditEntry(
                at=now,
                actor=actor,
                action="trigger.new",
                subject=f"trigger/{asked.id}",
                reason=order.reason,
                detail=detail,
            ),
        )
        return asked.id

    def approve(self, connection: Connection, trigger: str, said: Said) -> bool:
        """Agree to a trigger, in the caller's transaction, and record it; its jobs are let go afterwards.

        Raises:
            NotAllowed: the role is too low, or it is one's own wish.
            NothingToDecide: nobody's approval is waited for.
        """
        news = self._ledger.triggers.approve(connection, trigger, said)
        if news:
            self._record(connection, "trigger.approve", trigger, said.actor, said.reason)
        return news

    def reject(self, connection: Connection, trigger: str, said: Said) -> bool:
        """Stop a trigger as `cancel` does, in other words."""
        return self._stop(connection, trigger, words_of(said), "trigger.reject", (said.actor, said.reason))

    def cancel(self, connection: Connection, trigger: str, *, actor: str, reason: str = "") -> bool:
        """Stop a trigger, in the caller's transaction, and record it; what has not run is cancelled afterwards."""
        words = f"its trigger was cancelled by {actor}" + (f": {reason}" if reason else "")
        return self._stop(connection, trigger, words, "trigger.cancel", (actor, reason))

    def _stop(self, connection: Connection, trigger: str, words: str, action: str, by: tuple[str, str]) -> bool:
        news = self._ledger.triggers.cancel(connection, trigger, words)
        if news:
            self._record(connection, action, trigger, *by)
        return news

    def _record(self, connection: Connection, action: str, trigger: str, actor: str, reason: str) -> None:
        at = self._clock()
        write(connection, AuditEntry(at=at, actor=actor, action=action, subject=f"trigger/{trigger}", reason=reason))


def _shortened(asked: NewTrigger) -> dict[str, Any]:
    """What was asked for, as it is kept: of many names the first, and how many there were."""
    targets = asked.targets.model_dump(mode="json", exclude_defaults=True)
    more = len(asked.targets.devices) - MOST_NAMES
    if more > 0:
        targets |= {"devices": targets["devices"][:MOST_NAMES], "more_devices": more}
    return targets


def _parameters(asked: NewTrigger) -> dict[str, Any]:
    try:
        return complete_parameters(PARAMETERS[asked.operation], asked.parameters)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"{'.'.join(['parameters', *map(str, fault['loc'])])}: {fault['msg']}" for fault in faults]
        raise InputError(told) from None


def _holds(expected: Sequence[Expected]) -> list[Held]:
    reasons = Counter(one.why for one in expected if one.then == "held")
    return [Held(why=why, jobs=jobs) for why, jobs in reasons.most_common(20)]
