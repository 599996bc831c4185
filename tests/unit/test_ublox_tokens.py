import base64
import dataclasses
import json

import pytest
from pydantic import SecretStr

from schemas.errors import OurFault, TryAgain
from services.clients.answers import Answer
from services.clients.ublox.tokens import Seal, Step, Tokens, obtaining, session

KEY, SECRET = SecretStr("the-key"), SecretStr("the-secret")
NOW = 1_800_000_000.0


def jwt(**claims: object) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256"}, claims, "signature"))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def held(**changes: float | str | None) -> Tokens:
    tokens = Tokens(
        auth="old",
        refresh="refresh",
        refresh_at=NOW - 100,
        usable_until=NOW + 500,
        refresh_until=NOW + 10_000,
    )
    return dataclasses.replace(tokens, **changes)  # type: ignore[arg-type] # a test's shorthand


def answer(status: int, document: object, path: str = "/authenticate") -> Answer:
    return Answer.read(method="POST", path=path, status=status, body=json.dumps(document).encode())


def run(old: Tokens | None, *answers: Answer) -> tuple[list[Step], Tokens]:
    flow = obtaining(KEY, SECRET, held=old, now=NOW)
    steps = [next(flow)]
    for given in answers:
        try:
            steps.append(flow.send(given))
        except StopIteration as end:
            return steps, end.value
    raise AssertionError("the flow wants another answer")


def test_without_a_session_it_logs_in() -> None:
    steps, tokens = run(None, answer(200, {"AuthToken": "new", "RefreshToken": "again"}))
    assert [step.request.path for step in steps] == ["/authenticate"]
    assert steps[0].auth is None
    assert (tokens.auth, tokens.refresh, tokens.refresh_until) == ("new", "again", NOW + 3 * 24 * 3600)


def test_a_session_is_refreshed_with_its_own_token_and_keeps_its_refresh_token() -> None:
    steps, tokens = run(held(), answer(200, {"AuthToken": "new"}))
    assert [(step.request.path, step.auth) for step in steps] == [("/refreshauthtoken", "old")]
    assert steps[0].request.body() == {"APIKey": "the-key", "RefreshToken": "refresh"}
    assert (tokens.auth, tokens.refresh, tokens.refresh_until) == ("new", "refresh", NOW + 10_000)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refused_refresh_is_a_log_in(status: int) -> None:
    steps, tokens = run(held(), answer(status, {}), answer(200, {"AuthToken": "new", "RefreshToken": "again"}))
    assert [step.request.path for step in steps] == ["/refreshauthtoken", "/authenticate"]
    assert tokens.auth == "new"


@pytest.mark.parametrize("changes", [{"refresh": None}, {"refresh_until": NOW - 1}, {"usable_until": NOW - 1}])
def test_what_cannot_be_refreshed_is_a_log_in(changes: dict[str, float | None]) -> None:
    steps, _ = run(held(**changes), answer(200, {"AuthToken": "new"}))
    assert [step.request.path for step in steps] == ["/authenticate"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refused_log_in_is_our_fault(status: int) -> None:
    with pytest.raises(OurFault, match="log-in was refused") as caught:
        run(None, answer(status, {"message": "Not Authorized."}))
    assert caught.value.status == status


@pytest.mark.parametrize("document", [{}, [], {"AuthToken": ""}, {"AuthToken": "a\r\nX: y"}, {"AuthToken": "é"}])
def test_an_answer_without_a_usable_token_is_passing_trouble(document: object) -> None:
    with pytest.raises(TryAgain, match="without AuthToken"):
        run(None, answer(200, document))


@pytest.mark.parametrize(
    ("token", "refresh_in", "usable_for"),
    [
        (jwt(iat=NOW, exp=NOW + 3600), 2880, 3570),
        (jwt(iat=NOW - 1000, exp=NOW + 2600), 1880, 2570),
        (jwt(exp=NOW + 100), 80, 95),
        (jwt(iat=NOW - 7200, exp=NOW - 3600), 2880, 3570),  # our clock is two hours ahead of theirs
        (jwt(iat=NOW, exp=NOW), 2880, 3570),
        ("no-jwt", 2880, 3570),
        ("a.b.c", 2880, 3570),
        ("a.W10.c", 2880, 3570),
        (jwt(exp=True), 2880, 3570),
        (jwt(exp="soon"), 2880, 3570),
        (jwt(exp=10**400), 2880, 3570),
        (jwt(exp=float("inf")), 2880, 3570),
    ],
)
def test_a_token_tells_how_long_it_lives(token: str, refresh_in: float, usable_for: float) -> None:
    tokens = session(token, None, now=NOW, refresh_until=NOW)
    assert tokens.refresh_at - NOW == pytest.approx(refresh_in)
    assert tokens.usable_until - NOW == pytest.approx(usable_for)


def test_a_sealed_session_opens_under_its_own_name_and_secret_only() -> None:
    seal = Seal(SECRET, name="one")
    sealed = seal.close(held())
    assert seal.open(sealed) == held()
    assert b"old" not in sealed
    assert sealed != seal.close(held())
    assert Seal(SECRET, name="two").open(sealed) is None
    assert Seal(SecretStr("another"), name="one").open(sealed) is None
    assert [seal.open(value) for value in (None, b"", b"short", sealed[:-1], b"\0" + sealed)] == [None] * 5


def test_tokens_do_not_show() -> None:
    assert "old" not in repr(held())
    assert "refresh'" not in repr(held())
    assert "token" not in repr(Step(request=run(None, answer(200, {"AuthToken": "x"}))[0][0].request, auth="token"))
