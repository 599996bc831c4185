"""Manual triggers over the API: see what would follow, ask for it, follow it, cancel it."""

import struct
from typing import Final

from starlette.responses import Response

from infra.broker import PLAN
from infra.ledger import Connection
from infra.ledger.trigger_views import Place, show
from schemas.access import Role
from schemas.admin import Page, Why
from schemas.triggers import (
    NewTrigger,
    TriggerLine,
    TriggerPath,
    TriggerPreview,
    TriggerQuery,
    TriggerView,
)
from services.triggers import Maker
from services.web.admin.changes import change, written
from services.web.admin.contract import Answer, Call, Route, not_found
from services.web.admin.cursors import mark, sealed

_AT: Final = struct.Struct(">q")

BODY_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of a request: a hundred thousand names."""


def list_triggers(call: Call) -> Answer:
    """Give a page of triggers."""
    query = call.of(TriggerQuery)
    sent = mark(call, query)
    lines, below = call.ledger.triggers.page(query, None if sent is None else _place(sent))
    return Answer(
        body=Page[TriggerLine](items=lines, next=None if below is None else sealed(call, query, _packed(below)))
    )


def _packed(place: Place) -> bytes:
    return _AT.pack(place.at) + place.id.encode()


def _place(packed: bytes) -> Place:
    return Place(at=_AT.unpack_from(packed)[0], id=packed[_AT.size :].decode())


def new_trigger(call: Call) -> Response:
    """Show what would follow, or take it in; its jobs are made by whichever process plans."""
    asked = call.of(NewTrigger)
    desk = call.means.desk
    if asked.dry_run:
        return written(Answer(body=desk.preview(desk.check(asked), diffs=asked.diffs)), 200)
    sent = call.headers.get("idempotency-key")
    key = None if sent is None else f"{call.caller.id}:{sent}"
    known = None if key is None else desk.known(key, call.request_hash)
    if known is not None:  # long ago: its answer is forgotten, and it is not
        return change(call, lambda connection: Answer(body=show(connection, known)))
    order = desk.check(asked)

    def work(connection: Connection) -> Answer:
        trigger = desk.take(connection, order, actor=call.actor, key=key, request_hash=call.request_hash)
        return Answer(body=show(connection, trigger))

    response = change(call, work)
    call.means.ring(PLAN, [])
    return response


def show_trigger(call: Call) -> Answer:
    """Show one trigger."""
    trigger = call.of(TriggerPath).id
    found = call.ledger.triggers.show(trigger)
    if found is None:
        raise not_found(f"trigger {trigger}")
    return Answer(body=found)


def cancel_trigger(call: Call) -> Response:
    """Cancel what has not run; a repeat changes nothing."""
    trigger = call.of(TriggerPath).id

    def work(connection: Connection) -> Answer:
        if show(connection, trigger) is None:
            raise not_found(f"trigger {trigger}")
        call.means.desk.cancel(connection, trigger, actor=call.actor, reason=call.of(Why).reason)
        return Answer(body=show(connection, trigger))

    response = change(call, work)
    maker = Maker(call.ledger, ring=call.means.ring, clock=call.means.clock)
    while not maker.step_of(trigger).over:  # now, so that nothing more begins; the planner goes on if we die here
        pass
    return response


def follow_trigger(call: Call) -> Response:
    """Tell how far a trigger has come, as Server-Sent Events, until it has ended."""
    trigger = call.of(TriggerPath).id
    if call.ledger.triggers.show(trigger) is None:
        raise not_found(f"trigger {trigger}")
    return call.means.streams.follow(trigger, call.ledger.triggers.show)


ROUTES: Final = (
    Route(
        method="GET",
        path="/triggers",
        role=Role.VIEWER,
        handler=list_triggers,
        summary="List manual triggers, the newest first",
        query=TriggerQuery,
        response=Page[TriggerLine],
        tag="triggers",
    ),
    Route(
        method="POST",
        path="/triggers",
        role=Role.OPERATOR,
        handler=new_trigger,
        summary="Ask for an operation on devices, sites, tags or what a query finds; or see what would follow",
        description="With `dry_run` the answer is 200 and nothing is done. Else it is 202 when the wish is stored;"
        " its jobs are made at once, but in the background: `Location` names the address that tells how far they are."
        " Under an Idempotency-Key a repeat finds the first trigger for as long as that is kept.",
        request=NewTrigger,
        response=TriggerView,
        status=202,
        others={200: TriggerPreview},
        once=True,
        location="/triggers/{id}",
        body_limit=BODY_LIMIT,
        tag="triggers",
    ),
    Route(
        method="GET",
        path="/triggers/{id}",
        role=Role.VIEWER,
        handler=show_trigger,
        summary="Show a trigger and how far it has come",
        place=TriggerPath,
        response=TriggerView,
        tag="triggers",
    ),
    Route(
        method="GET",
        path="/triggers/{id}/events",
        role=Role.VIEWER,
        handler=follow_trigger,
        summary="Follow a trigger, as Server-Sent Events",
        description="`progress` tells what `GET /triggers/{id}` does, whenever that changes; `end` is the last."
        " A stream ends after a minute in any case: connect again. Where too many are open, the answer is 503.",
        place=TriggerPath,
        media_type="text/event-stream",
        tag="triggers",
    ),
    Route(
        method="POST",
        path="/triggers/{id}/cancel",
        role=Role.OPERATOR,
        handler=cancel_trigger,
        summary="Cancel what has not run of a trigger",
        description="What runs, and what an outside system has begun, goes on to its end. Once it is so, the same again"
        " changes nothing; nor does it where all has ended already.",
        place=TriggerPath,
        request=Why,
        response=TriggerView,
        once=True,
        tag="triggers",
    ),
)
