"""The redactor: names that are secret, shapes that are secret, and texts that must stay as they are."""

import datetime as dt
import json
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretBytes, SecretStr

from infra.redaction import Redactor, looks_secret
from schemas.secret import MASK

redactor = Redactor(["correct-horse", "q1w2e"])


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "AuthToken", "AuthorizationToken", "refresh_token", "APIKey", "APISecret", "api-key",
        "X-Api-Key", "password", "db_password", "Cookie", "Set-Cookie", "private_key", "key_material", "E2EKey",
        "EncryptionKey", "mobile_key", "mobileKeys", "client_secret", "sentry_dsn", "PSK", "user_credentials",
    ],
)  # fmt: skip
def test_secret_names_are_known_in_every_spelling(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    ["lock_key", "dedupe_key", "public_key", "token_id", "token_status", "secrets_count", "author", "event", "key", "",
     "password_file", "auth_scheme", "spinning"],
)  # fmt: skip
def test_harmless_names_stay_readable(name: str) -> None:
    assert not looks_secret(name)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("said correct-horse twice: correct-horse", "said ••• twice: •••"),
        ("q1w2e", MASK),
        ("xq1w2ex", "xq1w2ex"),
        ("postgresql://u:pw@h/d and redis://:pw@h", "postgresql://u:•••@h/d and redis://:•••@h"),
        ("Authorization: Bearer abcdefgh12", "Authorization: Bearer •••"),
        ("jwt eyJraWQiOiJwZFc0.eyJzdWIi.KEqQlBGj end", "jwt ••• end"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nafter", "•••\nafter"),
        ("-----BEGIN PRIVATE KEY-----\nMHc", MASK),
        ("{'APISecret': 'abc', 'Page': 1}", "{'APISecret': •••, 'Page': 1}"),
        ('{"RefreshToken":"a.b.c"}', '{"RefreshToken":•••}'),
        ("GET /x?api_key=abc&page=1", "GET /x?api_key=•••&page=1"),
        ("KEYTURN_WEBHOOK_TOKENS is required: one per line", "KEYTURN_WEBHOOK_TOKENS is required: one per line"),
    ],
)
def test_texts_lose_what_is_secret_and_keep_the_rest(text: str, left: str) -> None:
    assert redactor.text(text) == left


def test_values_become_plain_and_keep_their_sense() -> None:
    moment = dt.datetime(2026, 5, 10, 12, tzinfo=dt.UTC)
    number = UUID(int=7)
    value = {
        "at": moment,
        "id": number,
        "path": Path("/a"),
        "n": 3,
        "ok": True,
        "none": None,
        "token": None,
        "x": (1, 2.5),
    }
    expected = {"at": moment.isoformat(), "id": str(number), "path": "/a", "n": 3, "ok": True, "none": None}
    assert redactor.clean(value) == {**expected, "token": None, "x": [1, 2.5]}


def test_secrets_are_masked_wherever_they_hide() -> None:
    hidden = [
        SecretStr("a"), SecretBytes(b"a"), b"correct-horse", {"correct-horse": 1}, {"a": [{"b": ("correct-horse",)}]},
        ValueError("correct-horse"), {"token": {"deep": "thing"}},
    ]  # fmt: skip
    shown = str(redactor.clean(hidden))
    assert "correct-horse" not in shown
    assert "thing" not in shown
    assert redactor.clean(SecretStr("a")) == MASK
    assert Redactor(["12345678"]).clean([12345678]) == [MASK]


def test_a_secret_is_found_as_json_repr_and_urls_write_it() -> None:
    secret = 'a"b\\c d/é\n'
    tight = Redactor([secret, "a b/c&d=e"])
    assert tight.text(f"{secret!r} {secret!a} {json.dumps(secret)}") == """'•••' '•••' "•••\""""
    assert tight.text("x=a%20b%2Fc%26d%3De;y=a+b%2Fc%26d%3De") == "x=•••;y=•••"


class Awkward:
    """Something that cannot say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("correct-horse")


def test_what_cannot_be_shown_costs_only_itself() -> None:
    loop: list[object] = []
    loop.append(loop)
    shown = redactor.clean({"bad": Awkward(), "loop": loop, "big": 10**5000, "good": 1})
    assert isinstance(shown, dict)
    assert (shown["bad"], shown["good"]) == ("<Awkward>", 1)
    assert str(shown["big"]).startswith("0x")


def test_a_text_of_dashes_and_token_starts_takes_no_longer_than_its_length() -> None:
    """A search that takes the square of the length would keep this test for hours."""
    redactor = Redactor([])
    hostile = "-eyJ" * 100_000
    assert redactor.text(hostile) == hostile
