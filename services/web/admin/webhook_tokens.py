"""Webhook tokens over the API: make one, see them, end one."""

from datetime import timedelta
from typing import Final

from starlette.responses import Response

from infra.ledger import Connection
from infra.ledger.hook_tokens import HookToken
from schemas.access import Role
from schemas.rules import (
    EndWebhookToken,
    MadeWebhookToken,
    NewWebhookToken,
    WebhookTokenPath,
    WebhookTokens,
    WebhookTokenView,
)
from services.hook_tokens import TokenDesk
from services.web.admin.changes import change
from services.web.admin.contract import Answer, Call, Route, not_found


def list_tokens(call: Call) -> Answer:
    """List every webhook token of the ledger."""
    items = [_view(call, token) for token in call.ledger.hook_tokens.list()]
    return Answer(body=WebhookTokens(items=items, of_settings=len(call.means.settings.webhook_tokens)))


def new_token(call: Call) -> Response:
    """Make a webhook token."""
    asked = call.of(NewWebhookToken)

    def work(connection: Connection) -> Answer:
        desk = TokenDesk(call.ledger, clock=call.means.clock)
        token, header = desk.make(
            connection, name=asked.name, ends_at=asked.ends_at, actor=call.actor, reason=asked.reason
        )
        return Answer(body=MadeWebhookToken(authorization=header.get_secret_value(), view=_view(call, token)))

    return change(call, work)


def end_token(call: Call) -> Response:
    """End a webhook token now or later."""
    token_id, asked = call.of(WebhookTokenPath).id, call.of(EndWebhookToken)

    def work(connection: Connection) -> Answer:
        desk = TokenDesk(call.ledger, clock=call.means.clock)
        after = timedelta(seconds=asked.seconds)
        token = desk.end(connection, token_id, after=after, actor=call.actor, reason=asked.reason)
        if token is None:
            raise not_found(f"webhook token {token_id}")
        return Answer(body=_view(call, token))

    return change(call, work)


def _view(call: Call, token: HookToken) -> WebhookTokenView:
    return WebhookTokenView(
        id=token.id,
        name=token.name,
        living=token.lives(call.means.clock()),
        created_at=token.created_at,
        ends_at=token.ends_at,
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/webhook-tokens",
        role=Role.ADMIN,
        handler=list_tokens,
        summary="List the webhook tokens of the ledger, without what they are",
        response=WebhookTokens,
        tag="webhook tokens",
    ),
    Route(
        method="POST",
        path="/webhook-tokens",
        role=Role.ADMIN,
        handler=new_token,
        summary="Make a webhook token; the answer is the only place where it is shown",
        description="Receivers know it within a second. It holds beside those that are there, so that the sender can be"
        " changed before the old one is ended.",
        request=NewWebhookToken,
        response=MadeWebhookToken,
        status=201,
        problems={409: "It was made under this Idempotency-Key already."},
        once=True,
        told_once=True,
        tag="webhook tokens",
    ),
    Route(
        method="POST",
        path="/webhook-tokens/{id}/end",
        role=Role.ADMIN,
        handler=end_token,
        summary="End a webhook token, now or in some time; an end is never put off",
        place=WebhookTokenPath,
        request=EndWebhookToken,
        response=WebhookTokenView,
        once=True,
        tag="webhook tokens",
    ),
)
