"""Error reports that carry what is needed to mend a fault, and no secret.

Nothing is collected that was not asked for: no local variables, no bodies, no headers, no task arguments, and only the
integrations named here. What is left goes through the same redactor as the logs.
"""

import logging
from importlib.metadata import version
from typing import Any, Final, cast

import sentry_sdk
from sentry_sdk.integrations import Integration
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.modules import ModulesIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.transport import Transport
from sentry_sdk.types import Breadcrumb, DataCollectionUserOptions, Event, Hint

from infra.redaction import Redactor
from infra.settings import Settings

NOTHING: Final[DataCollectionUserOptions] = {
    "user_info": False,
    "cookies": {"mode": "off"},
    "http_headers": {"request": {"mode": "off"}},  # a credential may travel under a name that nobody thought of
    "http_bodies": [],
    "url_query_params": {"mode": "off"},
    "graphql": {"document": False, "variables": False},
    "gen_ai": {"inputs": False, "outputs": False},
    "database_query_data": False,
    "queues": False,
    "stack_frame_variables": False,
}
"""What the SDK may collect by itself; what is left out here it would collect. It replaces send_default_pii=False."""


def configure_sentry(settings: Settings, transport: Transport | type[Transport] | None = None) -> bool:
    """Start error reports and say whether they were started; without a DSN nothing is.

    Args:
        settings: sentry_dsn, environment, and the secrets to mask.
        transport: how reports travel; over HTTP when left out.
    """
    if settings.sentry_dsn is None:
        return False
    scrubber = _Scrubber(Redactor(settings.secret_values()))
    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        transport=transport,
        environment=settings.environment,
        release=f"keyturn@{version('keyturn')}",  # else the SDK asks git
        integrations=_integrations(),
        default_integrations=False,  # argv and stdlib among them report command lines and URLs
        auto_enabling_integrations=False,  # redis, httpx and SQLAlchemy among them report commands, URLs and statements
        data_collection=NOTHING,
        include_local_variables=False,
        max_request_body_size="never",
        auto_session_tracking=False,
        spotlight=False,
        before_send=scrubber.event,
        before_send_transaction=scrubber.event,
        before_breadcrumb=scrubber.breadcrumb,
    )
    return True


def _integrations() -> list[Integration]:
    return [
        StarletteIntegration(),
        CeleryIntegration(propagate_traces=False),  # a task carries ids and nothing else
        LoggingIntegration(level=logging.INFO, event_level=logging.ERROR),
        AtexitIntegration(callback=lambda _pending, _timeout: None),  # the default prints on standard error
        DedupeIntegration(),
        ExcepthookIntegration(),
        ModulesIntegration(),
        ThreadingIntegration(),
    ]


class _Scrubber:
    """What a report goes through before it leaves. Should it fail, the SDK drops the report."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def event(self, event: Event, hint: Hint) -> Event:
        """Give the report without secrets."""
        report = cast("dict[str, Any]", event)
        report.pop("user", None)
        if request := report.get("request"):
            report["request"] = {name: request[name] for name in ("method", "url") if name in request}
        job = report.get("extra", {}).get("celery-job")
        if isinstance(job, dict):
            report["extra"]["celery-job"] = {"task_name": job.get("task_name")}
        if fields := _structlog_fields(hint):
            message = str(fields.pop("event", ""))
            report["logentry"] = {"message": message, "formatted": message}
            report["extra"] = {**report.get("extra", {}), **fields}
        return cast("Event", self._redactor.clean(report))

    def breadcrumb(self, crumb: Breadcrumb, hint: Hint) -> Breadcrumb:
        """Give the breadcrumb without secrets."""
        if fields := _structlog_fields(hint):
            crumb = {**crumb, "message": str(fields.pop("event", "")), "data": fields}
        cleaned = cast("dict[str, Any]", self._redactor.clean(crumb))
        return {**cleaned, "timestamp": crumb.get("timestamp")}  # the SDK sorts by it, as a datetime


def _structlog_fields(hint: Hint) -> dict[str, Any]:
    """The fields of a structlog event, which the SDK would report as one long text."""
    fields = getattr(hint.get("log_record"), "msg", None)
    return dict(fields) if isinstance(fields, dict) else {}
