"""Jobs over the API: see them, and retry, cancel or force one."""

from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from infra.broker import PREFIX
from infra.ledger import Connection
from infra.ledger.steering import Order, Steer, Unlawful, steer
from schemas.access import Role
from schemas.admin import Page, Why
from schemas.jobs import State
from schemas.views import JobLine, JobQuery, JobView, Moved, RowPath
from services.web.admin.changes import change
from services.web.admin.contract import Answer, Call, Route, not_found
from services.web.admin.cursors import cursor, position
from services.web.admin.problems import Problem


def list_jobs(call: Call) -> Answer:
    """Give a page of jobs."""
    query = call.of(JobQuery)
    lines, below = call.ledger.admin.jobs(query, position(call, query))
    return Answer(body=Page[JobLine](items=lines, next=cursor(call, query, below)))


def show_job(call: Call) -> Answer:
    """Show one job."""
    job_id = call.of(RowPath).id
    found = call.ledger.admin.job(job_id)
    if found is None:
        raise not_found(f"job {job_id}")
    return Answer(body=found)


def _steering(what: Steer) -> Callable[[Call], Response]:
    def handler(call: Call) -> Response:
        due: list[JobLine] = []

        def work(connection: Connection) -> Answer:
            job, changed = _steered(call, what, connection)
            if changed and job.state is State.DUE:
                due.append(job)
            return Answer(body=Moved(changed=changed, job=job))

        response = change(call, work)
        for job in due:  # after the commit, or the worker would find nothing yet
            call.means.ring(PREFIX + job.operation, [job.id])
        return response

    return handler


def _steered(call: Call, what: Steer, connection: Connection) -> tuple[JobLine, bool]:
    order = Order(job=call.of(RowPath).id, steer=what, actor=call.actor, reason=call.of(Why).reason)
    try:
        moved = steer(connection, order, call.means.clock())
    except Unlawful as error:
        raise Problem(409, str(error)) from None
    if moved is None:
        raise not_found(f"job {order.job}")
    return moved


def _action(what: Steer, summary: str) -> Route:
    return Route(
        method="POST",
        path=f"/jobs/{{id}}/{what}",
        role=Role.OPERATOR,
        handler=_steering(what),
        summary=summary,
        description="Once it is so, the same again changes nothing.",
        place=RowPath,
        request=Why,
        response=Moved,
        problems={409: "The job stands where this cannot be done."},
        once=True,
        tag="jobs",
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/jobs",
        role=Role.VIEWER,
        handler=list_jobs,
        summary="List jobs, the newest first",
        query=JobQuery,
        response=Page[JobLine],
        tag="jobs",
    ),
    Route(
        method="GET",
        path="/jobs/{id}",
        role=Role.VIEWER,
        handler=show_job,
        summary="Show a job with every try; secrets are masked",
        place=RowPath,
        response=JobView,
        tag="jobs",
    ),
    _action(Steer.RETRY, "Give a parked job new tries"),
    _action(Steer.CANCEL, "Cancel a job that does not run"),
    _action(Steer.FORCE, "Let a due job run now, whatever its back-off"),
)
