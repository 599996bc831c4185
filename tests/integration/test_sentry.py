"""Sentry: what really leaves the machine, byte by byte, when errors happen near secrets."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, NoReturn
from uuid import uuid4

import httpx
import pytest
import sentry_sdk
import structlog
from celery import Celery
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from infra.logs import configure_logs
from infra.sentry import configure_sentry
from infra.settings import Settings, load_settings
from tests.support.sentry import Inbox, sentry_inbox

TOKEN, API_KEY, API_SECRET, PASSWORD = (uuid4().hex for _ in range(4))
"""Known to the settings, so masked wherever they stand."""

LOCAL, HEADER, COOKIE, QUERY, BODY, ARGUMENT, FIELD = (uuid4().hex for _ in range(7))
"""Known to nobody, so kept out by never being collected."""

SECRETS = (TOKEN, API_KEY, API_SECRET, PASSWORD, LOCAL, HEADER, COOKIE, QUERY, BODY, ARGUMENT, FIELD)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with sentry_inbox() as server:
        yield server


def settings(inbox: Inbox | None) -> Settings:
    environ = {
        "KEYTURN_WEBHOOK_TOKENS": f"Bearer {TOKEN}",
        "KEYTURN_UBLOX_BASE_URL": "https://ssapi.acme.test",
        "KEYTURN_UBLOX_API_KEY": API_KEY,
        "KEYTURN_UBLOX_API_SECRET": API_SECRET,
        "DATABASE_URL": f"postgresql://keyturn:{PASSWORD}@db.acme.test/keyturn",
        "KEYTURN_ENVIRONMENT": "trial",
    }
    if inbox is not None:
        environ["SENTRY_DSN"] = f"http://public@127.0.0.1:{inbox.server_port}/1"
    return load_settings(environ, None)


@pytest.fixture
def reports(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """Reports switched on, and logs too, since both see the same records."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_logs(settings(inbox))
    assert configure_sentry(settings(inbox))
    sentry_sdk.get_isolation_scope().clear()
    yield inbox
    sentry_sdk.get_client().close(timeout=2)
    sentry_sdk.get_global_scope().set_client(None)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def arrived(reports: Inbox) -> dict[str, Any]:
    """Wait for the one event and check that nothing secret came with it, in no envelope."""
    sentry_sdk.flush(timeout=5)
    (event,) = reports.events()
    everything = b"\n".join(reports.envelopes)
    assert [secret for secret in SECRETS if secret.encode() in everything] == []
    return event


def break_down() -> NoReturn:
    mobile_key = f"key {LOCAL}"
    raise RuntimeError(f"refused {API_SECRET} at postgresql://keyturn:{PASSWORD}@db.acme.test", len(mobile_key))


async def webhook(request: Request) -> NoReturn:
    payload = await request.body()
    structlog.get_logger("keyturn.hooks").info("webhook came", size=len(payload), key_material=FIELD, note=TOKEN)
    break_down()


async def post_a_webhook() -> int:
    app = Starlette(routes=[Route("/webhooks/ublox", webhook, methods=["POST"])])
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Device": HEADER, "Cookie": f"session={COOKIE}"}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://keyturn.acme.test") as client:
        response = await client.post(f"/webhooks/ublox?page={QUERY}", headers=headers, json={"E2EKey": BODY})
    return response.status_code


def test_an_error_in_the_web_arrives_without_secrets(reports: Inbox) -> None:
    assert asyncio.run(post_a_webhook()) == 500
    event = arrived(reports)
    (error,) = event["exception"]["values"]
    assert (error["type"], event["environment"]) == ("RuntimeError", "trial")
    assert error["value"] == "('refused ••• at postgresql://keyturn:•••@db.acme.test', 36)"
    assert event["request"] == {"method": "POST", "url": "http://keyturn.acme.test/webhooks/ublox"}
    crumbs = {crumb["message"]: crumb["data"] for crumb in event["breadcrumbs"]["values"]}
    assert crumbs["webhook came"] == {"size": 45, "key_material": "•••", "note": "•••"}


def test_an_error_in_a_task_arrives_without_its_arguments(reports: Inbox) -> None:
    app = Celery("trial", set_as_current=False)
    app.conf.task_always_eager = True

    @app.task(name="ublox.rotate_e2e_key")  # type: ignore[untyped-decorator]
    def rotate(job: str, *, wish: str) -> None:
        structlog.get_logger("keyturn.runner").info("job claimed", job=job[:2], token=wish)
        break_down()

    rotate.delay(ARGUMENT, wish=FIELD)
    event = arrived(reports)
    assert event["extra"]["celery-job"] == {"task_name": "ublox.rotate_e2e_key"}
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"


def test_a_logged_error_arrives_as_a_message_with_its_fields(reports: Inbox) -> None:
    with structlog.contextvars.bound_contextvars(job="j-1"):
        structlog.get_logger("keyturn.runner").error("job parked", reason=f"said {TOKEN}", password=FIELD)
    event = arrived(reports)
    assert event["logentry"]["message"] == "job parked"
    assert event["extra"] == {"job": "j-1", "reason": "said •••", "password": "•••"}


def test_a_logged_exception_arrives_with_its_stack(reports: Inbox) -> None:
    try:
        break_down()
    except RuntimeError:
        structlog.get_logger("keyturn.runner").exception("job crashed", job="j-1")
    event = arrived(reports)
    frames = event["exception"]["values"][0]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "break_down"
    assert not any("vars" in frame for frame in frames)
    assert (event["logentry"]["message"], event["extra"]) == ("job crashed", {"job": "j-1"})


def test_traces_are_off(reports: Inbox) -> None:
    with sentry_sdk.start_transaction(name="sweep"):
        pass
    sentry_sdk.flush(timeout=5)
    assert reports.envelopes == []


def test_a_transaction_would_be_scrubbed_too(inbox: Inbox) -> None:
    """Traces are off; should somebody switch them on, spans pass through the same redactor."""
    caught: list[Any] = []
    assert configure_sentry(settings(inbox), transport=_keeping(caught))
    client = sentry_sdk.get_client()
    try:
        client.options["traces_sample_rate"] = 1.0
        with sentry_sdk.start_transaction(name="sweep"), sentry_sdk.start_span(op="http", name=f"GET /{TOKEN}"):
            pass
        client.flush(timeout=5)
    finally:
        client.close(timeout=2)
        sentry_sdk.get_global_scope().set_client(None)
    (envelope,) = caught
    assert b"sweep" in envelope
    assert TOKEN.encode() not in envelope


def _keeping(caught: list[Any]) -> type[sentry_sdk.Transport]:
    class Keeping(sentry_sdk.Transport):
        def capture_envelope(self, envelope: sentry_sdk.envelope.Envelope) -> None:
            caught.append(envelope.serialize())

    return Keeping


def test_without_a_dsn_nothing_is_started() -> None:
    assert not configure_sentry(settings(None))
    assert not sentry_sdk.get_client().is_active()
