"""What stands until a person says so, over the API: parked jobs and our own faults; see them, and redrive them."""

from typing import Final

from starlette.responses import Response

from infra.broker import PLAN, PREFIX
from infra.ledger import Connection
from infra.ledger.redriving import By, redrive_faults, redrive_parked, replay
from infra.ledger.steering import Unlawful
from schemas.access import Role
from schemas.admin import Page, Why
from schemas.jobs import State
from schemas.redrive import FaultQuery, ParkedQuery, RedriveFaults, Redriven, RedriveParked, Replayed
from schemas.views import EventLine, EventQuery, EventState, JobLine, JobQuery, RowPath
from services.web.admin.changes import change, written
from services.web.admin.contract import Answer, Call, Route, not_found
from services.web.admin.cursors import cursor, position
from services.web.admin.problems import Problem


def list_parked(call: Call) -> Answer:
    """Give a page of parked jobs."""
    query = call.of(ParkedQuery)
    asked = JobQuery(state=State.PARKED, **dict(query))
    lines, below = call.ledger.admin.jobs(asked, position(call, query))
    return Answer(body=Page[JobLine](items=lines, next=cursor(call, query, below)))


def list_faults(call: Call) -> Answer:
    """Give a page of events that could not be planned."""
    query = call.of(FaultQuery)
    asked = EventQuery(state=EventState.FAULT, **dict(query))
    lines, below = call.ledger.admin.events(asked, position(call, query))
    return Answer(body=Page[EventLine](items=lines, next=cursor(call, query, below)))


def do_parked(call: Call) -> Response:
    """Give parked jobs new tries, or say which it would be."""
    asked = call.of(RedriveParked)
    if asked.dry_run:
        with call.ledger.database.reading() as connection:
            return written(Answer(body=redrive_parked(connection, asked, _by(call))), 200)
    due: list[JobLine] = []

    def work(connection: Connection) -> Answer:
        done = redrive_parked(connection, asked, _by(call))
        due.extend(done.items)
        return Answer(body=done)

    response = change(call, work)
    for operation in sorted({job.operation for job in due}):  # after the commit, or the worker would find nothing yet
        call.means.ring(PREFIX + operation, [job.id for job in due if job.operation == operation])
    return response


def do_faults(call: Call) -> Response:
    """Let events be planned again, or say which it would be."""
    asked = call.of(RedriveFaults)
    if asked.dry_run:
        with call.ledger.database.reading() as connection:
            return written(Answer(body=redrive_faults(connection, asked, _by(call))), 200)
    response = change(call, lambda connection: Answer(body=redrive_faults(connection, asked, _by(call))))
    call.means.ring(PLAN, [])
    return response


def replay_event(call: Call) -> Response:
    """Let one event be planned again."""
    event_id = call.of(RowPath).id

    def work(connection: Connection) -> Answer:
        try:
            found = replay(connection, event_id, _by(call), reason=call.of(Why).reason)
        except Unlawful as error:
            raise Problem(409, str(error)) from None
        if found is None:
            raise not_found(f"event {event_id}")
        return Answer(body=Replayed(event=found[0], changed=found[1]))

    response = change(call, work)
    call.means.ring(PLAN, [])
    return response


def _by(call: Call) -> By:
    return By(actor=call.actor, now=call.means.clock())


_REDRIVE: Final = (
    "With `dry_run` the answer tells what would be done, and nothing is. A filter takes the oldest rows first, `limit`"
    " of them at a time; ask again while `more` is true. Whatever needs nothing any more is passed over."
)

ROUTES: Final = (
    Route(
        method="GET",
        path="/parked",
        role=Role.VIEWER,
        handler=list_parked,
        summary="List jobs that wait for a person: refused, exhausted, or our own fault",
        query=ParkedQuery,
        response=Page[JobLine],
        tag="redrive",
    ),
    Route(
        method="POST",
        path="/parked/redrive",
        role=Role.OPERATOR,
        handler=do_parked,
        summary="Give parked jobs new tries, or see which it would be",
        description=_REDRIVE,
        request=RedriveParked,
        response=Redriven[JobLine],
        once=True,
        tag="redrive",
    ),
    Route(
        method="GET",
        path="/faults",
        role=Role.VIEWER,
        handler=list_faults,
        summary="List events that Keyturn failed to plan",
        query=FaultQuery,
        response=Page[EventLine],
        tag="redrive",
    ),
    Route(
        method="POST",
        path="/faults/redrive",
        role=Role.OPERATOR,
        handler=do_faults,
        summary="Let events that could not be planned be planned again, or see which it would be",
        description=_REDRIVE,
        request=RedriveFaults,
        response=Redriven[EventLine],
        once=True,
        tag="redrive",
    ),
    Route(
        method="POST",
        path="/events/{id}/replay",
        role=Role.OPERATOR,
        handler=replay_event,
        summary="Let an event be planned again",
        description="One that waits for its plan is not planned twice. Its wishes may be served by jobs that are there:"
        " what they come to, the event tells afterwards.",
        place=RowPath,
        request=Why,
        response=Replayed,
        problems={409: "It could not be understood, so there is nothing to plan."},
        once=True,
        tag="redrive",
    ),
)
