"""Approvals over the API: a person's word for held jobs, one by one or all of a trigger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from infra.broker import PLAN, PREFIX
from infra.ledger import Connection
from infra.ledger.admin import job_line
from infra.ledger.holding import NotAllowed, NothingToDecide, Said, Verdict
from infra.ledger.trigger_views import show
from schemas.access import Role
from schemas.admin import Why
from schemas.triggers import Decided, TriggerPath, TriggerView, Word
from schemas.views import RowPath
from services.web.admin.changes import change
from services.web.admin.contract import Answer, Call, Route, not_found
from services.web.admin.problems import Problem


def _on_job(verdict: Verdict) -> Callable[[Call], Response]:
    def handler(call: Call) -> Response:
        due: list[Mapping[str, Sequence[int]]] = []
        job_id = call.of(RowPath).id

        def work(connection: Connection) -> Answer:
            word = call.of(Word)
            said = replace(_said(call, verdict, word), step=word.step)
            try:
                found = call.ledger.holding.say(connection, job_id, said, call.means.clock())
            except NotAllowed as error:
                raise Problem(403, str(error)) from None
            except NothingToDecide as error:
                raise Problem(409, str(error)) from None
            job = None if found is None else job_line(connection, job_id)
            if found is None or job is None:
                raise not_found(f"job {job_id}")
            due.append(found[1].due)
            return Answer(body=Decided(changed=found[0], job=job))

        response = change(call, work)
        for let_go in due:  # after the commit, or the worker would find nothing yet
            for operation, ids in let_go.items():
                call.means.ring(PREFIX + operation, ids)
        return response

    return handler


def _on_trigger(verdict: Verdict) -> Callable[[Call], Response]:
    def handler(call: Call) -> Response:
        trigger = call.of(TriggerPath).id
        decide = call.means.desk.approve if verdict is Verdict.APPROVE else call.means.desk.reject

        def work(connection: Connection) -> Answer:
            if show(connection, trigger) is None:
                raise not_found(f"trigger {trigger}")
            try:
                decide(connection, trigger, _said(call, verdict, call.of(Why)))
            except NotAllowed as error:
                raise Problem(403, str(error)) from None
            except NothingToDecide as error:
                raise Problem(409, str(error)) from None
            return Answer(body=show(connection, trigger))

        response = change(call, work)
        call.means.ring(PLAN, [])
        return response

    return handler


def _said(call: Call, verdict: Verdict, why: Why) -> Said:
    return Said(verdict=verdict, actor=call.actor, role=call.caller.role, reason=why.reason)


def _one(verdict: Verdict, summary: str) -> Route:
    return Route(
        method="POST",
        path=f"/jobs/{{id}}/{verdict}",
        role=Role.OPERATOR,
        handler=_on_job(verdict),
        summary=summary,
        description="Where the rule asks for an admin's word, only an admin's key will do. Who asked for the job cannot"
        " approve it, also when his trigger is cancelled and others rely on the job. Once it is so, the same again"
        " changes nothing.",
        place=RowPath,
        request=Word,
        response=Decided,
        problems={409: "The job waits for nobody's approval."},
        once=True,
        tag="approvals",
    )


def _all(verdict: Verdict, summary: str) -> Route:
    return Route(
        method="POST",
        path=f"/triggers/{{id}}/{verdict}",
        role=Role.OPERATOR,
        handler=_on_trigger(verdict),
        summary=summary,
        description="Who asked for it cannot approve it. Its jobs follow at once, in the background: `Location` names"
        " the address that tells how far they are.",
        place=TriggerPath,
        request=Why,
        response=TriggerView,
        status=202,
        problems={409: "The trigger waits for nobody's approval."},
        once=True,
        location="/triggers/{id}",
        tag="approvals",
    )


ROUTES: Final = (
    _one(Verdict.APPROVE, "Agree to a held job"),
    _one(Verdict.REJECT, "Refuse a held job: it is cancelled"),
    _all(Verdict.APPROVE, "Agree to a trigger"),
    _all(Verdict.REJECT, "Refuse a trigger: what has not run is cancelled"),
)
