"""Reads a request into the models that its route names; tells every fault with its place."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final, get_origin

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from schemas.admin import Fault
from services.web.admin.contract import Route
from services.web.admin.problems import Problem, faults_of

BODY_SECONDS: Final = 10.0
"""A body that is not complete by then is given up."""

_JSON: Final = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)

_NUL: Final = "a text may not hold the character U+0000"

Parts = dict[type[BaseModel], BaseModel]


async def read(route: Route, request: Request) -> tuple[Parts, Any]:
    """Read path, query and body; also give the body as JSON has it.

    Raises:
        Problem: 404 for a path that names nothing, 408, 413, 415, 422.
    """
    parts: Parts = {}
    if route.place is not None:
        parts[route.place] = _place(route.place, request.path_params)
    faults = _read_query(route, request, parts)
    document = await _read_body(route, request, parts, faults)
    if faults:
        raise Problem(422, f"the request has {_count(faults)}", faults=faults)
    return parts, document


def _place(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel:
    try:
        return model.model_validate_strings(values)
    except ValidationError as error:
        faults = faults_of(error, "path")
        raise Problem(404, "the address names nothing that can be", faults=faults) from None


def _read_query(route: Route, request: Request, parts: Parts) -> list[Fault]:
    sent = request.query_params
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name in dict.fromkeys(sent):
        given = sent.getlist(name)
        if any("\0" in one for one in given):
            faults.append(Fault(at=f"query/{name[:100]}", detail=_NUL))
        values[name] = given if _takes_many(route.query, name) else given[0]
        if len(given) > 1 and not _takes_many(route.query, name):
            faults.append(Fault(at=f"query/{name[:100]}", detail="expected it once"))
    if route.query is None:
        return [Fault(at=f"query/{name[:100]}", detail="nothing of this name is taken here") for name in values]
    if not faults:
        try:
            parts[route.query] = route.query.model_validate_strings(values)
        except ValidationError as error:
            faults = faults_of(error, "query")
    return faults


def _takes_many(model: type[BaseModel] | None, name: str) -> bool:
    known = None if model is None else model.model_fields.get(name)
    return known is not None and get_origin(known.annotation) in {list, tuple}


async def _read_body(route: Route, request: Request, parts: Parts, faults: list[Fault]) -> Any:
    body = await _collect(route, request)
    if route.request is None:
        if body:
            faults.append(Fault(at="body", detail="no body is taken here"))
        return None
    media_type = request.headers.get("content-type", "").strip()
    if form := route.texts.get(media_type.partition(";")[0].strip().lower()):
        return _read_text(route, form, body, parts, faults)
    if body and not _JSON.fullmatch(media_type):
        taken = ", ".join(("application/json", *route.texts))
        raise Problem(415, f"expected Content-Type: {taken}", headers={"accept": taken})
    try:
        document = orjson.loads(body or b"{}")  # an action without anything to say needs no body
    except orjson.JSONDecodeError as error:
        faults.append(Fault(at="body", detail=f"not JSON: {error}"))
        return None
    if b"\\u0000" in body and _holds_nul(document):
        faults.append(Fault(at="body", detail=_NUL))
        return None
    try:
        parts[route.request] = route.request.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        faults += faults_of(error, "body")
    return document


def _read_text(route: Route, form: str, body: bytes, parts: Parts, faults: list[Fault]) -> Any:
    """A body that is a document of its own, where it would else stand in JSON as the text of a form."""
    document = None
    try:
        document = {"form": form, "text": body.decode("utf-8-sig")}
    except UnicodeDecodeError:
        faults.append(Fault(at="body", detail="expected UTF-8"))  # the error itself holds the whole body
    if document is not None and route.request is not None:
        parts[route.request] = route.request.model_validate(document)
    return document


async def _collect(route: Route, request: Request) -> bytes:
    """Read the body within its bounds; of one that is too large the server reads and drops the rest."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise Problem(415, "expected a body without Content-Encoding")
    if _declared(request) > route.body_limit:
        raise _too_large(route)
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > route.body_limit:
                    raise _too_large(route)
                parts.append(part)
    except TimeoutError:
        detail = f"the body was not complete after {BODY_SECONDS:g} s"
        raise Problem(408, detail, headers={"connection": "close"}) from None
    except ClientDisconnect:
        raise Problem(400, "the caller went away") from None
    return b"".join(parts)


def _declared(request: Request) -> int:
    value = request.headers.get("content-length", "0")
    if not value.isascii() or not value.isdigit():
        raise Problem(400, "Content-Length is no number")
    return int(value[:20])


def _too_large(route: Route) -> Problem:
    return Problem(413, f"a body may have {route.body_limit} bytes here")


def _holds_nul(document: Any) -> bool:
    left = [document]
    while left:
        match left.pop():
            case str() as words if "\0" in words:
                return True
            case dict() as known:
                left += [*known.keys(), *known.values()]
            case list() as items:
                left += items
    return False


def _count(faults: list[Fault]) -> str:
    return "a fault" if len(faults) == 1 else f"{len(faults)} faults"
