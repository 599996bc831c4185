"""What a route of the admin API is, what its handler gets, and what it gives back."""

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from starlette.responses import Response

from infra.broker import Ring
from infra.ledger import AuditEntry, Ledger
from infra.settings import Settings
from schemas.access import ApiKey, Role
from services.access import Access
from services.triggers import Desk
from services.web.admin.problems import Problem
from services.web.admin.streams import Streams

BODY_LIMIT: Final = 256 * 1024
"""Bytes of a body, unless its route says otherwise."""

Part = TypeVar("Part", bound=BaseModel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """What handlers work with."""

    settings: Settings
    ledger: Ledger
    access: Access
    desk: Desk
    ring: Ring
    clock: Callable[[], datetime]
    streams: Streams = field(default_factory=Streams)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a handler answers; `status` None is the route's own."""

    body: BaseModel | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request, read and admitted.

    Attributes:
        parts: what was read of it, by model.
        request_hash: of method, path and body, for an Idempotency-Key.
    """

    means: Means
    route: "Route"
    caller: ApiKey
    parts: Mapping[type[BaseModel], BaseModel]
    headers: Mapping[str, str]
    path: str
    request_id: str
    request_hash: str

    def of(self, model: type[Part]) -> Part:
        """The path, query or body of the request, by the model that the route names for it."""
        part = self.parts[model]
        if not isinstance(part, model):
            raise TypeError(f"the request's {model.__name__} is a {type(part).__name__}")
        return part

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.means.ledger

    @property
    def actor(self) -> str:
        """Who calls, as the audit names it."""
        return self.caller.actor

    def entry(self, action: str, subject: str, *, reason: str = "", **detail: Any) -> AuditEntry:
        """An entry for the audit in the caller's name; write it in the transaction of the change, last."""
        at = self.means.clock()
        return AuditEntry(at=at, actor=self.actor, action=action, subject=subject, reason=reason, detail=detail)


Handler = Callable[[Call], Answer | Response]
"""A plain function, run in a thread; a `Response` is for what is no JSON document, such as a stream of events."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One line of the table.

    Attributes:
        path: below ``/admin/v1``, with ``{name}`` for the fields of `place`.
        place: model of the path's fields; what does not fit it is not found.
        query, request: models of the query and of the body; without one there must be none.
        response: model of the answer; None for an empty one or for what `media_type` says.
        others: models of good answers of another status than `status`.
        problems: statuses with their reason that this route has besides those that every one has.
        once: whether an Idempotency-Key is taken, by `changes.change`.
        told_once: whether its answer holds a secret, which is not kept: then a repeat is refused, and not done.
        location: the address below ``/admin/v1`` that Location names, with ``{name}`` for fields of the answer.
        matched: whether If-Match is needed, by `changes.must_match`.
        fresh: whether If-None-Match: * stands for If-Match where nothing is there yet, by `changes.must_be_seen`.
        slashes: whether the last field of the path may hold slashes.
        texts: media types that are taken besides JSON: the body is then the `text` of `request`, and this its `form`.
    """

    method: str
    path: str
    role: Role
    handler: Handler
    summary: str
    description: str = ""
    tag: str = ""
    place: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    request: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    status: int = 200
    others: Mapping[int, type[BaseModel]] = field(default_factory=dict)
    problems: Mapping[int, str] = field(default_factory=dict)
    once: bool = False
    told_once: bool = False
    location: str = ""
    matched: bool = False
    fresh: bool = False
    slashes: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    body_limit: int = BODY_LIMIT
    media_type: str = "application/json"


def request_hash(method: str, path: str, document: object, *, key: str) -> str:
    """What is asked, however its JSON is spaced and ordered.

    It is kept in the ledger, and a document may hold a password: without the caller's own key nobody can try guesses.
    """
    asked = json.dumps([method, path, document], sort_keys=True, separators=(",", ":"))
    return hmac.digest(key.encode(), asked.encode(), "sha256").hex()


def not_found(what: str) -> Problem:
    """The problem of something that is not there."""
    return Problem(404, f"there is no {what}")
