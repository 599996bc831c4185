"""The audit over the API: read it, and hold it against its hash chain."""

from typing import Final

from infra.ledger.audit import Recorded
from schemas.access import Role
from schemas.admin import AuditQuery, AuditVerdict, AuditView, Page
from services.web.admin.contract import Answer, Call, Route
from services.web.admin.cursors import cursor, position


def list_audit(call: Call) -> Answer:
    """Give a page of the audit."""
    query = call.of(AuditQuery)
    found = call.ledger.audit.page(
        before=position(call, query),
        limit=query.limit + 1,
        actor=query.actor,
        action=query.action,
        subject=query.subject,
    )
    shown = found[: query.limit]
    below = shown[-1].id if len(found) > query.limit else None
    return Answer(body=Page[AuditView](items=[view(one) for one in shown], next=cursor(call, query, below)))


def verify_audit(call: Call) -> Answer:
    """Walk the whole chain."""
    verdict = call.ledger.audit.verify()
    return Answer(
        body=AuditVerdict(holds=verdict.holds, rows=verdict.rows, hash=verdict.hash, faults=list(verdict.faults))
    )


def view(recorded: Recorded) -> AuditView:
    """An entry as it is shown."""
    entry = recorded.entry
    return AuditView(
        id=recorded.id,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        reason=entry.reason,
        detail=dict(entry.detail),
        previous=recorded.previous,
        hash=recorded.hash,
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/audit",
        role=Role.ADMIN,
        handler=list_audit,
        summary="List who changed what, the newest first",
        query=AuditQuery,
        response=Page[AuditView],
        tag="audit",
    ),
    Route(
        method="GET",
        path="/audit/verify",
        role=Role.ADMIN,
        handler=verify_audit,
        summary="Hold the whole audit against its hash chain",
        response=AuditVerdict,
        tag="audit",
    ),
)
