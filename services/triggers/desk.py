"""The desk where a manual trigger is asked for: it is checked whole, shown without being done, or taken in at once."""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from infra.ledger import AuditEntry, Connection, Ledger
from infra.ledger.audit import write
from infra.ledger.foresight import foresee
from infra.ledger.holding import Said, words_of
from infra.ledger.trigger_terms import Asked
from schemas.errors import InputError
from schemas.fleet import Fleet
from schemas.triggers import MOST_SHOWN, Expected, Held, NewTrigger, TriggerPreview, TriggerStep
from services.playbook import Playbook
from services.triggers.calls import calls_of
from services.triggers.firing import together
from services.triggers.looking import Looker
from services.triggers.ordering import Order, order_of


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
        return order_of(asked, fleet=self._fleet(), playbook=self._playbook, ledger=self._ledger)

    def preview(self, order: Order, *, diffs: int = 0) -> TriggerPreview:
        """Tell what would follow, by what the ledger holds now; nothing is written.

        Args:
            order: what is asked for.
            diffs: of so many targets that no job serves already, outside systems are asked how they stand.
        """
        jobs = order.jobs()
        expected = foresee(self._ledger.database, jobs, self._clock())
        counts = Counter(one.then for one in expected)
        count = len(order.steps)
        locations = self._fleet().locations
        looked = [job for job, one in zip(jobs, expected, strict=True) if one.then != "served"][:diffs]
        return TriggerPreview(
            operation=order.operation,
            rule=order.rule,
            parameters=dict(order.parameters),
            steps=[TriggerStep(operation=step.operation, parameters=dict(step.parameters)) for step in order.steps],
            total=len(expected),
            due=counts["due"],
            held=counts["held"],
            served=counts["served"],
            holds=_holds(expected),
            calls=together(
                [calls_of(step.operation, expected[place::count], locations) for place, step in enumerate(order.steps)]
            ),
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
            rule=order.rule,
            steps=order.steps,
        )
        self._ledger.triggers.add(connection, asked)
        detail: dict[str, Any] = {"operation": order.operation, "targets": len(order.aims)}
        detail |= {"parameters": order.parameters} if order.rule is None else {"rule": order.rule}
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
        """Stop a trigger that waits for approval, in the caller's transaction, and record it.

        Raises:
            NothingToDecide: nobody's approval is waited for.
        """
        news = self._ledger.triggers.reject(connection, trigger, words_of(said))
        if news:
            self._record(connection, "trigger.reject", trigger, said.actor, said.reason)
        return news

    def cancel(self, connection: Connection, trigger: str, *, actor: str, reason: str = "") -> bool:
        """Stop a trigger, in the caller's transaction, and record it; what has not run is cancelled afterwards."""
        words = f"its trigger was cancelled by {actor}" + (f": {reason}" if reason else "")
        news = self._ledger.triggers.cancel(connection, trigger, words)
        if news:
            self._record(connection, "trigger.cancel", trigger, actor, reason)
        return news

    def _record(self, connection: Connection, action: str, trigger: str, actor: str, reason: str) -> None:
        at = self._clock()
        write(connection, AuditEntry(at=at, actor=actor, action=action, subject=f"trigger/{trigger}", reason=reason))


def _holds(expected: Sequence[Expected]) -> list[Held]:
    reasons = Counter(one.why for one in expected if one.then == "held")
    return [Held(why=why, jobs=jobs) for why, jobs in reasons.most_common(20)]
