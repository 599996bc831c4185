"""Keys over the API: whose this one is; list, make and end them."""

from typing import Final

from starlette.responses import Response

from infra.ledger import Connection
from schemas.access import ApiKey, Role
from schemas.admin import KeyPath, Keys, KeyView, MadeKey, NewKey, Whoami, Why
from schemas.errors import InputError
from services.web.admin.changes import change
from services.web.admin.contract import Answer, Call, Route, not_found
from services.web.admin.problems import Problem


def whoami(call: Call) -> Answer:
    """Tell whose key was sent."""
    key = call.caller
    return Answer(body=Whoami(id=key.id, name=key.name, role=key.role, expires_at=key.expires_at))


def list_keys(call: Call) -> Answer:
    """List every key."""
    return Answer(body=Keys(items=[_view(call, key) for key in call.ledger.keys.list()]))


def new_key(call: Call) -> Response:
    """Make a key."""
    asked = call.of(NewKey)

    def work(connection: Connection) -> Answer:
        made, secret = call.means.access.make(
            connection, name=asked.name, role=asked.role, days=asked.days, actor=call.actor, reason=asked.reason
        )
        return Answer(body=MadeKey(key=secret.get_secret_value(), view=_view(call, made)))

    return change(call, work)


def end_key(call: Call) -> Response:
    """End a key; to end it again changes nothing."""
    key_id = call.of(KeyPath).id

    def work(connection: Connection) -> Answer:
        try:
            call.means.access.end(connection, key_id, actor=call.actor, reason=call.of(Why).reason)
        except InputError as error:
            raise Problem(409, str(error)) from None
        found = call.ledger.keys.find_in(connection, key_id)
        if found is None:
            raise not_found(f"key {key_id}")
        return Answer(body=_view(call, found[0]))

    return change(call, work)


def _view(call: Call, key: ApiKey) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        role=key.role,
        living=key.lives(call.means.clock()),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        ended_at=key.ended_at,
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/whoami",
        role=Role.VIEWER,
        handler=whoami,
        summary="Whose key this is",
        response=Whoami,
        tag="keys",
    ),
    Route(
        method="GET",
        path="/keys",
        role=Role.ADMIN,
        handler=list_keys,
        summary="List the API keys, without their secrets",
        response=Keys,
        tag="keys",
    ),
    Route(
        method="POST",
        path="/keys",
        role=Role.ADMIN,
        handler=new_key,
        summary="Make an API key; the answer is the only place where it is shown",
        request=NewKey,
        response=MadeKey,
        status=201,
        problems={409: "It was made under this Idempotency-Key already."},
        once=True,
        told_once=True,
        tag="keys",
    ),
    Route(
        method="POST",
        path="/keys/{id}/end",
        role=Role.ADMIN,
        handler=end_key,
        summary="End an API key at once",
        place=KeyPath,
        request=Why,
        response=KeyView,
        problems={409: "It is the last living key of an admin."},
        once=True,
        tag="keys",
    ),
)
