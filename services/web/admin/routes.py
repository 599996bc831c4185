"""The table of routes: each part of the API adds its lines here."""

from typing import Final

from starlette.responses import Response

from schemas.access import Role
from services.web.admin import (
    ages,
    approvals,
    audit,
    docs,
    events,
    fleet,
    forecast,
    jobs,
    keys,
    playbooks,
    redrive,
    schedules,
    triggers,
    webhook_tokens,
)
from services.web.admin.contract import Call, Route
from services.web.admin.openapi import text


def _openapi(_call: Call) -> Response:
    return Response(text(ROUTES), media_type="application/json")


def _docs(_call: Call) -> Response:
    return docs.answer(text(ROUTES))


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/openapi.json",
        role=Role.VIEWER,
        handler=_openapi,
        summary="This document",
        tag="about",
    ),
    Route(
        method="GET",
        path="/docs",
        role=Role.VIEWER,
        handler=_docs,
        summary="This document as a page to read",
        description="A browser asks for a name and a password: any name, and a key as the password. At no other address"
        " a key is taken so.",
        media_type="text/html",
        tag="about",
    ),
    *keys.ROUTES,
    *events.ROUTES,
    *jobs.ROUTES,
    *redrive.ROUTES,
    *fleet.ROUTES,
    *ages.ROUTES,
    *forecast.ROUTES,
    *triggers.ROUTES,
    *approvals.ROUTES,
    *playbooks.ROUTES,
    *schedules.ROUTES,
    *webhook_tokens.ROUTES,
    *audit.ROUTES,
)
