"""The forecast of certificates over the API."""

from typing import Final

from schemas.access import Role
from schemas.errors import InputError
from schemas.forecast import Forecast, ForecastQuery
from services.forecast import forecast
from services.web.admin.contract import Answer, Call, Route
from services.web.admin.problems import Problem
from services.wiring import active_playbook


def show_forecast(call: Call) -> Answer:
    """Look ahead."""
    means = call.means
    try:
        playbook = active_playbook(means.settings, means.ledger)()
    except InputError as error:
        raise Problem(409, f"the playbook in force has faults: {error}") from None
    return Answer(body=forecast(means.ledger, playbook, means.clock(), call.of(ForecastQuery).days))


ROUTES: Final = (
    Route(
        method="GET",
        path="/forecast",
        role=Role.VIEWER,
        handler=show_forecast,
        summary="Tell which certificates and root CAs end when, and what renewals take of calls and of the budget",
        description="From what the certificate scan saw last. `series` has one entry for each day, ready for a chart.",
        query=ForecastQuery,
        response=Forecast,
        problems={409: "The playbook in force has faults."},
        tag="keys and certificates",
    ),
)
