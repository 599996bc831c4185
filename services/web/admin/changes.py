"""Changes: one transaction each, done once under an Idempotency-Key, only to what the caller has seen (If-Match)."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from starlette.responses import Response

from infra.ledger import Connection
from infra.ledger.answers import Asked, Given, begin, keep, recall
from schemas.admin import Fault
from schemas.errors import InputError
from services.web.admin.contract import Answer, Call
from services.web.admin.problems import Problem

_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_TAGS: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
"""Entity tags (RFC 9110, 8.8.3); a weak one never matches (13.1.1)."""


def once(call: Call, handle: Callable[[], Response]) -> Response:
    """Have a request handled, unless it is a repeat: then it gets the first answer, whatever has changed since.

    Raises:
        Problem: the key is no key, or was used for another request; or the answer held a secret.
    """
    if (given := _remembered(call)) is not None:
        return given
    try:
        return handle()
    except (Problem, InputError):
        if (given := _remembered(call)) is not None:  # the first one was under way, and has made this one's check fail
            return given
        raise


def change(call: Call, work: Callable[[Connection], Answer]) -> Response:
    """Do a change and record it in one transaction; under an Idempotency-Key a repeat gets the first answer.

    Args:
        call: the request.
        work: makes the change and writes its entry of the audit, on the connection that it is given.

    Raises:
        Problem: as of `once`.
    """
    asked = _asked(call)
    if asked is None:
        with call.ledger.database.writing() as connection:
            return written(work(connection), call.route.status)
    with call.ledger.database.writing() as connection:
        given = begin(connection, asked, call.means.clock())
        if given is None:
            response = written(work(connection), call.route.status)
            body = "" if call.route.told_once else bytes(response.body).decode()
            keep(connection, asked, status=response.status_code, body=body)
            return response
    return _again(call, asked, given)


def _remembered(call: Call) -> Response | None:
    """The answer that was given to the first of the same requests."""
    asked = _asked(call)
    if asked is None:
        return None
    with call.ledger.database.reading() as connection:
        given = recall(connection, asked, call.means.clock())
    return None if given is None else _again(call, asked, given)


def _asked(call: Call) -> Asked | None:
    key = idempotency_key(call.headers)
    return None if key is None else Asked(actor=call.caller.id, key=key, request_hash=call.request_hash)


def _again(call: Call, asked: Asked, given: Given) -> Response:
    if given.request_hash != asked.request_hash:
        raise Problem(422, "this Idempotency-Key was used for another request; take a new one")
    if call.route.told_once:
        raise Problem(409, "this was done under this Idempotency-Key; its answer held a secret and is not repeated")
    return _json(given.body, given.status, {"idempotency-replayed": "true"})


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The Idempotency-Key of a request, where it has one.

    Raises:
        Problem: it is no such key.
    """
    key = headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        fault = Fault(at="header/Idempotency-Key", detail="expected 1 to 200 printable ASCII characters, no space")
        raise Problem(422, "the Idempotency-Key is no such key", faults=[fault])
    return key


def etag(revision: object) -> dict[str, str]:
    """The header that names a revision of something that can be edited."""
    return {"etag": f'"{revision}"'}


def must_match(call: Call, revision: object) -> None:
    """Refuse an edit by somebody who has not seen the newest revision.

    Raises:
        Problem: If-Match is missing (428) or names another revision (412).
    """
    sent = call.headers.get("if-match")
    if sent is None:
        raise Problem(428, "send If-Match with the ETag of what you have seen")
    if sent.strip() != "*" and f'"{revision}"' not in _TAGS.findall(sent):
        raise Problem(412, "it was changed since you have seen it: read it again", headers=etag(revision))


def must_be_seen(call: Call, revision: object | None) -> None:
    """As `must_match`, of what need not be there yet: then revision is None, and If-None-Match: * says so.

    Raises:
        Problem: neither header is there (428), or they do not say how it stands (412).
    """
    makes = call.headers.get("if-none-match", "").strip() == "*"
    if revision is not None and not makes:
        must_match(call, revision)
    elif revision is not None:
        raise Problem(412, "it is there already: read it", headers=etag(revision))
    elif not makes:
        status = 412 if "if-match" in call.headers else 428
        raise Problem(status, "it is not there: send If-None-Match: * to make it")


def written(answer: Answer, status: int) -> Response:
    """An answer as it is sent; `status` is for one that has none of its own."""
    code = answer.status or status
    if answer.body is None:
        return Response(status_code=code, headers=dict(answer.headers))
    return _json(answer.body.model_dump_json(), code, answer.headers)


def _json(body: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status_code=status, headers=headers, media_type="application/json")
