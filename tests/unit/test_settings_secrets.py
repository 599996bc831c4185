"""Secrets among the settings: from files too, and shown nowhere."""

import json
from pathlib import Path
from typing import get_args

import pytest

from infra.settings import Settings, load_settings, variable_of
from infra.settings.model import SECRET_FIELDS
from schemas.errors import ConfigurationError
from tests.support.settings import (
    FULL,
    PLAIN,
    SECRETS,
    TOKEN,
    faults,
    load,
)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    for name in SECRET_FIELDS:
        variable = variable_of(name)
        path = tmp_path / variable
        path.write_text(FULL[variable] + "\n")
        others = {other: value for other, value in FULL.items() if other != variable}
        assert load_settings({**others, f"{variable}_FILE": str(path)}, None) == load(FULL)


def test_a_file_with_nothing_usable_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xfd")
    (tmp_path / "long").write_bytes(b"x" * 70_000)
    reasons = {
        "empty": "is empty",
        "bytes": "not UTF-8",
        "long": "longer than",
        ".": "directory",
        "none": "No such file",
    }
    for name, reason in reasons.items():
        (only,) = faults({"KEYTURN_WEBHOOK_TOKENS_FILE": str(tmp_path / name)})
        assert only.startswith("KEYTURN_WEBHOOK_TOKENS_FILE must name a ")
        assert reason in only


def test_a_secret_given_in_place_of_a_path_is_not_repeated() -> None:
    (only,) = faults({"KEYTURN_WEBHOOK_TOKENS_FILE": TOKEN})
    assert TOKEN not in only


def test_a_value_and_its_file_exclude_each_other(tmp_path: Path) -> None:
    expected = "KEYTURN_WEBHOOK_TOKENS and KEYTURN_WEBHOOK_TOKENS_FILE are both set, keep one of them"
    assert faults({**PLAIN, "KEYTURN_WEBHOOK_TOKENS_FILE": str(tmp_path)}) == [expected]


def test_only_secrets_have_a_file_variant() -> None:
    assert faults({**PLAIN, "KEYTURN_PORT_FILE": "x"})[0].startswith("KEYTURN_PORT_FILE is not a variable")


def test_no_way_of_showing_settings_shows_a_secret() -> None:
    settings = load(FULL)
    shown = [
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        repr(settings.model_dump()),
        str(settings.shown()),
    ]
    assert [secret for secret in SECRETS for text in shown if secret in text] == []
    json.loads(settings.model_dump_json())


def test_what_is_shown_still_says_where_things_are() -> None:
    shown = load(FULL).shown()
    assert shown["DATABASE_URL"] == "postgresql+psycopg://keyturn:•••@db.acme.test:5432/keyturn"
    assert shown["REDIS_URL"] == "rediss://:•••@redis.acme.test:6380/1"
    assert (shown["SENTRY_DSN"], shown["KEYTURN_WEBHOOK_TOKENS"]) == ("set", "1 set")
    assert (shown["KEYTURN_PLAYBOOK_FILE"], shown["KEYTURN_PORT"]) == ("not set", "8080")


def test_a_password_is_masked_in_each_place_and_spelling() -> None:
    for url in (
        "postgresql://u:a@h/d",
        "postgresql://u:p%40ss%2Fword@h/d",
        "postgresql://h/d?user=u&password=longer-one",
    ):
        shown = load(DATABASE_URL=url).shown()["DATABASE_URL"]
        assert "•••" in shown
        assert not any(password in shown for password in (":a@", "p%40ss", "longer-one"))
    assert "p@ss/word" in load(DATABASE_URL="postgresql://u:p%40ss%2Fword@h/d").secret_values()


def test_secret_values_are_those_that_a_redactor_needs() -> None:
    assert set(SECRETS) <= load(FULL).secret_values()


def test_no_fault_repeats_a_secret() -> None:
    spoilt = {name: f"{value}\x00 #" for name, value in FULL.items()}
    text = "\n".join(faults(spoilt))
    assert [secret for secret in SECRETS if secret in text] == []


def test_a_fault_carries_no_raw_value_in_its_chain() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"KEYTURN_WEBHOOK_TOKENS": "hunter2"}, None)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_each_field_of_secret_type_can_come_from_a_file() -> None:
    typed = {name for name, field in Settings.model_fields.items() if "SecretStr" in _spelt(field.annotation)}
    assert typed == SECRET_FIELDS


def _spelt(annotation: object) -> str:
    return f"{annotation} {[_spelt(part) for part in get_args(annotation)]}"
