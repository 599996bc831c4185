"""Logs: one JSON object per line, whoever speaks, and no secret in it at any depth."""

import io
import json
import logging
import string
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
import structlog
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr

from infra.logs import QUIET, configure_logs
from infra.settings import Settings, load_settings

TOKEN = "tR7-kq0Zp2-wv9Xs4"
API_SECRET = "hV3nQ8sLw2Zt6Yp0"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


class Closed(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, _: str) -> int:
        """Fail like a broken pipe."""
        raise BrokenPipeError


def settings(**more: str) -> Settings:
    environ = {
        "KEYTURN_WEBHOOK_TOKENS": f"Bearer {TOKEN}",
        "KEYTURN_UBLOX_BASE_URL": "https://ssapi.acme.test",
        "KEYTURN_UBLOX_API_KEY": "7c1f9e52-3d84-4b0a",
        "KEYTURN_UBLOX_API_SECRET": API_SECRET,
    }
    return load_settings({**environ, **more}, None)


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Put logging back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)
    logging.captureWarnings(capture=False)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure_logs(settings(), stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def only(stream: io.StringIO) -> dict[str, Any]:
    (line,) = lines(stream)
    return line


def test_an_event_is_one_json_line_with_time_level_and_logger(stream: io.StringIO) -> None:
    structlog.get_logger("keyturn.test").info("job settled", job="j-1", attempts=2)
    line = only(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "info", "logger": "keyturn.test", "event": "job settled", "job": "j-1", "attempts": 2}


def test_ids_bound_by_others_are_in_every_line(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("a").info("ours")
        logging.getLogger("celery.worker").warning("theirs %s", 1)
    assert [(line["event"], line["request_id"]) for line in lines(stream)] == [("ours", "r-1"), ("theirs 1", "r-1")]


@pytest.mark.parametrize("name", ["celery", "uvicorn.error", "sqlalchemy.engine", "httpx", "py.warnings"])
def test_libraries_speak_through_the_same_renderer(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).error("it broke: %s", TOKEN)
    assert (only(stream)["logger"], only(stream)["event"]) == (name, "it broke: •••")


@pytest.mark.parametrize(
    "name", ["httpx", "celery.worker.strategy", "celery.app.trace", "uvicorn.access", "httpcore.http11"]
)
def test_chatter_of_libraries_is_left_out(name: str) -> None:
    stream = io.StringIO()
    configure_logs(settings(KEYTURN_LOG_LEVEL="DEBUG"), stream=stream)
    logging.getLogger(name).info("HTTP Request: GET https://ssapi.acme.test")
    assert stream.getvalue() == ""


def test_a_handler_of_a_library_is_taken_away() -> None:
    theirs, ours = io.StringIO(), io.StringIO()
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler(theirs))
    logging.getLogger("uvicorn").propagate = False
    configure_logs(settings(), stream=ours)
    logging.getLogger("uvicorn").warning("hello")
    assert (theirs.getvalue(), only(ours)["event"]) == ("", "hello")


def test_setting_up_twice_writes_once(stream: io.StringIO) -> None:
    second = io.StringIO()
    configure_logs(settings(), stream=second)
    structlog.get_logger("a").info("once")
    assert (stream.getvalue(), len(lines(second))) == ("", 1)


def test_the_level_is_a_setting() -> None:
    stream = io.StringIO()
    configure_logs(settings(KEYTURN_LOG_LEVEL="warning"), stream=stream)
    structlog.get_logger("a").info("quiet")
    structlog.get_logger("a").warning("loud")
    assert only(stream)["event"] == "loud"


def test_warnings_are_log_lines(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
    assert "old ways" in only(stream)["event"]


def refuse(mobile_key: str) -> NoReturn:
    raise ValueError(f"refused with {API_SECRET}", len(mobile_key))


def test_an_exception_is_told_without_secrets_and_without_locals(stream: io.StringIO) -> None:
    try:
        refuse("never" * 3)
    except ValueError:
        structlog.get_logger("a").exception("call failed")
        logging.getLogger("b").exception("call failed")
    for line in lines(stream):
        assert "ValueError: ('refused with •••'" in line["exception"]
        assert "mobile_key =" not in line["exception"]
    assert API_SECRET not in stream.getvalue()
    assert "nevernever" not in stream.getvalue()


def test_secret_names_hide_values_that_nobody_registered(stream: io.StringIO) -> None:
    structlog.get_logger("a").info("call", Authorization="x1", headers={"X-Api-Key": "x2"}, wrapped=SecretStr("x3"))
    line = only(stream)
    assert (line["Authorization"], line["headers"], line["wrapped"]) == ("•••", {"X-Api-Key": "•••"}, "•••")


def test_a_terminal_gets_pretty_lines_and_no_secret_either() -> None:
    stream = Terminal()
    configure_logs(settings(), stream=stream)
    try:
        refuse(TOKEN)
    except ValueError:
        structlog.get_logger("a").exception("call failed", token=TOKEN, note=f"a {TOKEN} b")
    text = stream.getvalue()
    assert "\x1b[" in text
    assert "call failed" in text
    assert "ValueError: ('refused with •••'" in text
    assert TOKEN not in text


@pytest.mark.parametrize(("wanted", "is_json"), [("json", True), ("pretty", False), ("auto", False)])
def test_the_format_can_be_chosen(wanted: str, *, is_json: bool) -> None:
    stream = Terminal()
    configure_logs(settings(KEYTURN_LOG_FORMAT=wanted), stream=stream)
    structlog.get_logger("a").info("hello")
    assert stream.getvalue().startswith("{") is is_json


class Awkward:
    """Something that cannot say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError(TOKEN)

    __str__ = __repr__


def test_nothing_that_is_logged_can_raise(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()  # pytest's own handler does raise
    root.handlers[:] = [handler for handler in root.handlers if type(handler).__module__ == "infra.logs"]
    log = structlog.get_logger("a")
    log.info(Awkward(), bad=Awkward(), level="mine", _record=1, lone="\ud800", key={1: {2: {3}}}, big=10**5000)
    log.info("100%", 1)
    log.info("x", exc_info="not an exception", stack_info=True)  # noqa: LOG014
    logging.getLogger("b").warning("%d of %s", *["x"])
    logging.getLogger("b").warning("%s", Awkward())
    assert len(lines(stream)) == 5
    assert lines(stream)[3]["event"] == "log line lost"
    assert lines(stream)[3]["template"] == "%d of %s"
    assert TOKEN not in stream.getvalue() + "".join(capsys.readouterr())


def test_a_stream_that_is_gone_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(settings(), stream=Closed())
    structlog.get_logger("a").info("hello", token=TOKEN)
    assert "".join(capsys.readouterr()) == ""


def nested(secret: str) -> st.SearchStrategy[Any]:
    """Values with the secret as leaf, as key, inside a text, inside bytes or inside an exception."""
    around = st.text(max_size=8)
    inside = st.builds(lambda left, right: left + secret + right, around, around)
    leaf = st.one_of(inside, inside.map(str.encode), inside.map(ValueError), st.integers(), st.none(), around)
    return st.recursive(
        leaf,
        lambda deeper: st.one_of(
            st.lists(deeper, max_size=4),
            st.dictionaries(st.one_of(around, inside), deeper, max_size=4),
            st.tuples(deeper, deeper),
        ),
        max_leaves=12,
    )


letters = st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="•")
secrets = st.text(st.one_of(st.sampled_from(string.printable), letters), min_size=12, max_size=40)


@examples(deadline=None)  # a busy machine is no fault
@given(secrets.flatmap(lambda secret: st.tuples(st.just(secret), nested(secret))))
def test_a_secret_is_not_shown_at_any_depth(case: tuple[str, Any]) -> None:
    secret, value = case
    stream = io.StringIO()
    made = settings().model_copy(update={"webhook_tokens": (SecretStr(secret),)})
    configure_logs(made, stream=stream)
    structlog.get_logger("a").info("seen", value=value, text=f"<{secret}>")
    line = only(stream)
    assert line["text"] == "<•••>"
    for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert form not in stream.getvalue()
        assert form not in str(line)


def test_a_strangers_path_cannot_steer_the_terminal() -> None:
    stream = io.StringIO()
    configure_logs(settings(log_format="pretty"), stream=stream)
    structlog.get_logger("test").warning("delivery refused", path="/webhooks/\x1b[2J\x9b")
    assert "\x1b[2J" not in stream.getvalue()
    assert "\\x1b[2J" in stream.getvalue()
