"""Events over the API."""

from typing import Final

from schemas.access import Role
from schemas.admin import Page
from schemas.views import EventLine, EventQuery, EventView, RowPath
from services.web.admin.contract import Answer, Call, Route, not_found
from services.web.admin.cursors import cursor, position


def list_events(call: Call) -> Answer:
    """Give a page of events."""
    query = call.of(EventQuery)
    lines, below = call.ledger.admin.events(query, position(call, query))
    return Answer(body=Page[EventLine](items=lines, next=cursor(call, query, below)))


def show_event(call: Call) -> Answer:
    """Show one event."""
    event_id = call.of(RowPath).id
    found = call.ledger.admin.event(event_id)
    if found is None:
        raise not_found(f"event {event_id}")
    return Answer(body=found)


ROUTES: Final = (
    Route(
        method="GET",
        path="/events",
        role=Role.VIEWER,
        handler=list_events,
        summary="List events, the newest first",
        query=EventQuery,
        response=Page[EventLine],
        tag="events",
    ),
    Route(
        method="GET",
        path="/events/{id}",
        role=Role.VIEWER,
        handler=show_event,
        summary="Show an event with what was delivered and the jobs that came of it",
        place=RowPath,
        response=EventView,
        tag="events",
    ),
)
