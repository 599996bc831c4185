"""Schedules over the API: see them, switch them, edit them, run one now."""

from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.responses import Response

from infra.broker import PREFIX
from infra.ledger import Connection
from schemas.access import Role
from schemas.admin import Why
from schemas.errors import InputError
from schemas.schedule_views import EditSchedule, FiringView, ScheduleLine, SchedulePath, Schedules, ScheduleView
from schemas.schedules import Firing, Schedule
from services.schedules.shipped import Wanted
from services.schedules.steering import edit, enable, run
from services.web.admin.changes import change, etag, must_match
from services.web.admin.contract import Answer, Call, Route, not_found
from services.web.admin.problems import Problem

SHOWN: Final = 20
"""Firings of one schedule."""


def list_schedules(call: Call) -> Answer:
    """List every schedule with its last firing."""
    return Answer(body=Schedules(items=[_line(call, schedule) for schedule in _all(call).values()]))


def show_schedule(call: Call) -> Answer:
    """Show one schedule."""
    schedule = _found(call)
    firings = [_firing(firing) for firing in call.ledger.firings.of(schedule.name, SHOWN)]
    line = _line(call, schedule).model_dump(mode="python")
    return Answer(body=ScheduleView(**line, firings=firings), headers=etag(schedule.revision))


def edit_schedule(call: Call) -> Response:
    """Give a schedule another specification."""
    asked = call.of(EditSchedule)
    return _changed(call, asked.reason, partial(edit, spec=asked.spec))


def enable_schedule(call: Call) -> Response:
    """Switch a schedule on."""
    return _changed(call, call.of(Why).reason, partial(enable, enabled=True))


def disable_schedule(call: Call) -> Response:
    """Switch a schedule off."""
    return _changed(call, call.of(Why).reason, partial(enable, enabled=False))


def run_schedule(call: Call) -> Response:
    """Fire a schedule now."""
    schedule, why = _found(call), call.of(Why)

    def work(connection: Connection) -> Answer:
        now, entry = call.means.clock(), _entry(call, why.reason)
        try:
            return Answer(body=_firing(run(connection, call.ledger, schedule, now=now, entry=entry)))
        except InputError as error:
            raise Problem(409, str(error)) from None

    response = change(call, work)
    call.means.ring(PREFIX + schedule.kind, [])
    return response


def _changed(call: Call, reason: str, steer: Callable[..., Schedule]) -> Response:
    name = _found(call).name

    def work(connection: Connection) -> Answer:
        schedule = call.ledger.schedules.find_in(connection, name)
        if schedule is None:
            raise not_found(f"schedule {name}")
        if call.route.matched:
            must_match(call, schedule.revision)
        now, entry = call.means.clock(), _entry(call, reason)
        changed = steer(connection, call.ledger, schedule, now=now, entry=entry)
        return Answer(body=_line(call, changed), headers=etag(changed.revision))

    return change(call, work)


def _entry(call: Call, reason: str) -> dict[str, str]:
    return {"actor": call.actor, "reason": reason}


def _all(call: Call) -> dict[str, Schedule]:
    """Every schedule by name, the shipped ones also before any sweep has written them."""
    known = {schedule.name: schedule for schedule in call.ledger.schedules.all()}
    if missing := list(Wanted(call.ledger)(known, call.means.clock())):
        call.ledger.schedules.add(missing)
        known |= {schedule.name: schedule for schedule in missing}
    return dict(sorted(known.items()))


def _found(call: Call) -> Schedule:
    name = call.of(SchedulePath).name
    found = _all(call).get(name)
    if found is None:
        raise not_found(f"schedule {name}")
    return found


def _line(call: Call, schedule: Schedule) -> ScheduleLine:
    last = next(iter(call.ledger.firings.of(schedule.name, 1)), None)
    return ScheduleLine(
        name=schedule.name,
        does=schedule.kind,
        enabled=schedule.enabled,
        spec=schedule.spec,
        next_due=schedule.next_due if schedule.enabled else None,
        revision=schedule.revision,
        last=None if last is None else _firing(last),
    )


def _firing(firing: Firing) -> FiringView:
    return FiringView(
        schedule=firing.schedule,
        due_at=firing.due_at,
        fired_at=firing.fired_at,
        state=firing.state,
        reason=firing.reason,
        detail=dict(firing.detail),
    )


def _switch(word: str, handler: Callable[[Call], Response], summary: str) -> Route:
    return Route(
        method="POST",
        path=f"/schedules/{{name}}/{word}",
        role=Role.ADMIN,
        handler=handler,
        summary=summary,
        place=SchedulePath,
        request=Why,
        response=ScheduleLine,
        once=True,
        tag="schedules",
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/schedules",
        role=Role.VIEWER,
        handler=list_schedules,
        summary="List every schedule with what came of its last moment",
        response=Schedules,
        tag="schedules",
    ),
    Route(
        method="GET",
        path="/schedules/{name}",
        role=Role.VIEWER,
        handler=show_schedule,
        summary="Show a schedule with its latest firings",
        place=SchedulePath,
        response=ScheduleView,
        tag="schedules",
    ),
    Route(
        method="PUT",
        path="/schedules/{name}",
        role=Role.ADMIN,
        handler=edit_schedule,
        summary="Give a schedule another specification; that of a playbook's rule stands in the playbook",
        place=SchedulePath,
        request=EditSchedule,
        response=ScheduleLine,
        once=True,
        matched=True,
        tag="schedules",
    ),
    _switch("enable", enable_schedule, "Switch a schedule on; what passed while it was off is not made up for"),
    _switch("disable", disable_schedule, "Switch a schedule off"),
    Route(
        method="POST",
        path="/schedules/{name}/run",
        role=Role.OPERATOR,
        handler=run_schedule,
        summary="Fire a schedule now, also one that is switched off; a worker does it within seconds",
        description="`Location` names the address that tells what became of it.",
        place=SchedulePath,
        request=Why,
        response=FiringView,
        status=202,
        problems={409: "It was fired at this very moment."},
        once=True,
        location="/schedules/{schedule}",
        tag="schedules",
    ),
)
