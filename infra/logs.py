"""Logs as events with bound ids: one renderer for Keyturn and for every library, and no secret in any line.

A line is made in the formatter, not at the call: what cannot be rendered there costs its own text, never the caller.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from infra.redaction import Redactor
from infra.settings import Settings

QUIET: Final = {
    "httpx": logging.WARNING,  # INFO writes every URL
    "httpcore": logging.WARNING,  # DEBUG writes request headers
    "urllib3": logging.WARNING,
    "uvicorn.access": logging.WARNING,  # a line per webhook would cost more than the webhook
    "celery.worker.strategy": logging.WARNING,  # INFO: "task received", a line per doorbell
    "celery.app.trace": logging.WARNING,  # INFO: "task succeeded"; the runner logs the job itself
    "celery.utils.functional": logging.WARNING,
    "kombu": logging.WARNING,
    "amqp": logging.WARNING,
    "sqlalchemy": logging.WARNING,  # INFO writes statements with their parameters
    "asyncio": logging.WARNING,
}
"""Libraries that say too much below this level, whatever level is set."""

THROUGH_ROOT: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "celery.task", "celery.worker", "kombu")
"""Loggers whose libraries like to give them handlers of their own."""


def configure_logs(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send every log line of this process through one renderer; calling it again replaces the former set-up.

    Args:
        settings: log_level, log_format, and the secrets to mask.
        stream: where lines go; standard error when left out.
    """
    target = sys.stderr if stream is None else stream
    handler = _Handler(target)
    handler.setFormatter(_Line(Redactor(settings.secret_values()), _renderer(settings.log_format, target)))
    _take_over(handler, settings.log_level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.StackInfoRenderer(),
            _hand_over,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _renderer(log_format: str, stream: TextIO) -> Processor:
    terminal = stream.isatty()
    if log_format == "pretty" or (log_format == "auto" and terminal):
        # the default formatter of exceptions would print local variables
        return structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()


def _take_over(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for former in [known for known in root.handlers if type(known) in {_Handler, logging.StreamHandler}]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level)
    for name in THROUGH_ROOT:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(capture=True)


def _hand_over(logger: WrappedLogger, name: str, event_dict: EventDict) -> tuple[tuple[EventDict], dict[str, Any]]:
    """Give a structlog event to stdlib logging, the exception where other readers of the record look for it."""
    exc_info = event_dict.pop("exc_info", None)
    return (event_dict,), {"exc_info": exc_info, "extra": {"_logger": logger, "_name": name}}


def _with_facts(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Put time, level and logger first; they come from the record, so they are the same for every library."""
    record: logging.LogRecord = event_dict["_record"]
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    facts = {
        "timestamp": moment.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event_dict.get("event"),
    }
    return {**facts, **event_dict, **facts}


_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Line(structlog.stdlib.ProcessorFormatter):
    """Renders a record of structlog or of stdlib logging; it never raises."""

    def __init__(self, redactor: Redactor, renderer: Processor) -> None:
        self._redactor = redactor
        super().__init__(
            processors=[
                self._with_exception,
                _with_facts,
                self.remove_processors_meta,
                structlog.processors.format_exc_info,
                self._redact,
                self._printable,
                renderer,
            ],
            foreign_pre_chain=[structlog.contextvars.merge_contextvars],
            keep_exc_info=True,
        )

    def format(self, record: logging.LogRecord) -> str:
        """Give the line, or one that says which line was lost."""
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001  # a log call must not fail its caller
            return self._lost(record, error)

    def _with_exception(self, _: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
        record: logging.LogRecord = event_dict["_record"]
        if record.exc_info:
            event_dict["exc_info"] = record.exc_info
        record.exc_info = record.exc_text = None  # the record is a copy; else logging adds the traceback once more
        return event_dict

    def _redact(self, _: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
        cleaned = self._redactor.clean(event_dict)
        return cleaned if isinstance(cleaned, dict) else {"event": cleaned}

    @staticmethod
    def _printable(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
        """Show control characters as text: a stranger's path must not steer the terminal of whoever reads the log."""
        return {
            name: _CONTROL.sub(lambda found: repr(found[0])[1:-1], value) if isinstance(value, str) else value
            for name, value in event_dict.items()
        }

    def _lost(self, record: logging.LogRecord, error: Exception) -> str:
        template = self._redactor.text(record.msg) if isinstance(record.msg, str) else type(record.msg).__name__
        facts = {"level": record.levelname.lower(), "logger": record.name, "event": "log line lost"}
        return json.dumps({**facts, "template": template, "error": type(error).__name__})


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; when the stream is gone there is nobody to tell."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Say nothing: the default prints the message with its arguments, unredacted."""
