"""Settings: every fault at once, each under the name of its variable, and no secret shown."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from infra.redaction import Redactor
from infra.settings import Settings, describe, load_settings, variable_of
from infra.settings.model import SECRET_FIELDS
from schemas.errors import ConfigurationError
from tests.support.vault import ring_text

TOKEN = "Bearer tR7-kq0Zp2-wv9Xs4"
API_KEY = "7c1f9e52-3d84-4b0a"
API_SECRET = "hV3nQ8sLw2Zt6Yp0"
PASSWORD = "s3cr3t-Pa55"
ADMIN_PASSWORD, INTEGRATION_KEY, SECRET_KEY = "Zu8-qWe4-rTy", "5d2a8c41e7b09f36", "Lq7vB2nX9cK4mJ1h"
DSN_KEY = "4f1c2b7a9d3e4f5061728394a5b6c7d8"
RING = ring_text("new", "old")
RING_KEYS = tuple(line.partition(":")[2] for line in RING.splitlines())
DSN = f"https://{DSN_KEY}@errors.acme.test/7"

PLAIN = {"KEYTURN_WEBHOOK_TOKENS": TOKEN}
FULL = {
    **PLAIN,
    "DATABASE_URL": f"postgres://keyturn:{PASSWORD}@db.acme.test:5432/keyturn",
    "REDIS_URL": f"rediss://:{PASSWORD}@redis.acme.test:6380/1",
    "SENTRY_DSN": DSN,
    "KEYTURN_VAULT_KEYS": RING,
    "KEYTURN_UBLOX_BASE_URL": "https://ssapi.acme.test/",
    "KEYTURN_UBLOX_API_KEY": API_KEY,
    "KEYTURN_UBLOX_API_SECRET": API_SECRET,
    "KEYTURN_CENTAGATE_BASE_URL": "https://centagate.acme.test",
    "KEYTURN_CENTAGATE_ADMIN_USERNAME": "keyturn",
    "KEYTURN_CENTAGATE_ADMIN_PASSWORD": ADMIN_PASSWORD,
    "KEYTURN_CENTAGATE_INTEGRATION_KEY": INTEGRATION_KEY,
    "KEYTURN_CENTAGATE_SECRET_KEY": SECRET_KEY,
}
SECRETS = (
    TOKEN,
    TOKEN.removeprefix("Bearer "),
    API_KEY,
    API_SECRET,
    ADMIN_PASSWORD,
    INTEGRATION_KEY,
    SECRET_KEY,
    PASSWORD,
    DSN,
    DSN_KEY,
    *RING_KEYS,
)


def load(environ: Mapping[str, str] = {}, env_file: Path | None = None, **more: str) -> Settings:
    return load_settings({**PLAIN, **environ, **more}, env_file)


def faults(environ: Mapping[str, str], env_file: Path | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ, env_file)
    return str(caught.value).splitlines()


def fault(variable: str, value: str) -> str:
    (only,) = faults({**PLAIN, variable: value})
    assert only.startswith(f"{variable} ")
    return only


def test_one_token_is_enough() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.lease, settings.sweep_every) == ("127.0.0.1", 8080, 15, 2)
    assert settings.database_url.get_secret_value() == "sqlite:///var/keyturn.db"
    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert (settings.ublox_base_url, settings.ublox_api_key, settings.sentry_dsn) == (None, None, None)


def test_without_a_webhook_token_nothing_starts() -> None:
    (only,) = faults({})
    assert only.startswith("KEYTURN_WEBHOOK_TOKENS (or KEYTURN_WEBHOOK_TOKENS_FILE) is required")
    assert faults({"KEYTURN_WEBHOOK_TOKENS": ""}) == [only]


def test_an_empty_variable_counts_as_not_given() -> None:
    assert load(KEYTURN_PORT="", KEYTURN_PLAYBOOK_FILE="").port == 8080
    assert load(KEYTURN_UBLOX_AUTH_SCHEME="").ublox_auth_scheme == ""
    assert load().centagate_auth_prefix == "/v2"
    assert load(KEYTURN_CENTAGATE_AUTH_PREFIX="").centagate_auth_prefix == ""


def test_only_what_is_handed_over_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEYTURN_PORT", "9001")
    assert load().port == 8080
    for name, value in PLAIN.items():
        monkeypatch.setenv(name, value)
    assert load_settings().port == 9001


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("sqlite:///var/keyturn.db", "sqlite:///var/keyturn.db"),
        ("sqlite:////srv/keyturn.db", "sqlite:////srv/keyturn.db"),
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u@h:5433/d?sslmode=require", "postgresql+psycopg://u@h:5433/d?sslmode=require"),
        ("postgresql+psycopg:///d", "postgresql+psycopg:///d"),
    ],
)
def test_a_database_is_named_as_sqlalchemy_wants_it(given: str, normal: str) -> None:
    assert load(DATABASE_URL=given).database_url.get_secret_value() == normal


@pytest.mark.parametrize("given", ["redis://h", "redis://h:1/2", "rediss://u:p@h/0", "unix:///run/redis.sock?db=1"])
def test_redis_may_be_near_or_far(given: str) -> None:
    assert load(REDIS_URL=given).redis_url.get_secret_value() == given


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DATABASE_URL", "mysql://u:p@h/d", "must be sqlite:///path/to/file or postgresql://"),
        ("DATABASE_URL", "sqlite://", "must be sqlite:///"),
        ("DATABASE_URL", "sqlite:///:memory:", "must be sqlite:///"),
        ("DATABASE_URL", "postgresql://u:p@h", "must be sqlite:///"),
        ("DATABASE_URL", "postgresql://u:p#x@h/d", "percent-encoded"),
        ("DATABASE_URL", "postgresql://h:port/d", "must be sqlite:///"),
        ("REDIS_URL", "http://h", "must be redis://"),
        ("REDIS_URL", "redis:///0", "must be redis://"),
        ("REDIS_URL", "redis://h/zero", "must be redis://"),
        ("REDIS_URL", "unix://", "must be redis://"),
        ("SENTRY_DSN", "https://errors.acme.test/7", "must be the DSN"),
        ("SENTRY_DSN", "https://key@errors.acme.test/", "must be the DSN"),
        ("SENTRY_DSN", "ftp://key@errors.acme.test/7", "must be the DSN"),
        ("KEYTURN_PORT", "http", "must be a valid integer, not 'http'"),
        ("KEYTURN_PORT", "65536", "must be less than or equal to 65535, not '65536'"),
        ("KEYTURN_BODY_LIMIT_BYTES", "0", "must be greater than or equal to 1024"),
        ("KEYTURN_ACCEPT_TIMEOUT", "0", "must be greater than 0"),
        ("KEYTURN_ACCEPT_TIMEOUT", "nan", "must be a finite number"),
        ("KEYTURN_ACCEPT_TIMEOUT", "inf", "must be a finite number"),
        ("KEYTURN_ACCEPT_QUEUE_LIMIT", "-1", "must be greater than or equal to 1"),
        ("KEYTURN_BACKLOG_LIMIT", "9999", "must not be less than KEYTURN_ACCEPT_QUEUE_LIMIT"),
        ("KEYTURN_UBLOX_AUTH_SCHEME", "Bearer x", "must match pattern"),
        ("KEYTURN_UBLOX_CA_FILE", "/no/such/file", "must be the path of a file that exists"),
        ("KEYTURN_CENTAGATE_CA_FILE", "/no/such/file", "must be the path of a file that exists"),
        ("KEYTURN_CENTAGATE_PREFIX", "v2", "must match pattern"),
        ("KEYTURN_CENTAGATE_AUTH_PREFIX", "/v2/", "must match pattern"),
        ("KEYTURN_CENTAGATE_TIMEOUT", "0", "must be greater than 0"),
        ("KEYTURN_PLAYBOOK_FILE", "/no/such/file", "must be the path of a file that exists"),
        ("KEYTURN_LEASE", "4", "must be more than twice KEYTURN_SWEEP_EVERY"),
        ("KEYTURN_RETRY_CAP", "1.5", "must not be less than KEYTURN_RETRY_BASE"),
        ("KEYTURN_RENEWAL_DEADLINE", "60", "must not be less than KEYTURN_RENEWAL_LOOK_EVERY"),
        ("KEYTURN_MAX_ATTEMPTS", "0", "must be greater than or equal to 1"),
        ("KEYTURN_WORKER_THREADS", "1025", "must be less than or equal to 1024"),
        ("KEYTURN_BULK_LINGER", "-0.1", "must be greater than or equal to 0"),
        ("KEYTURN_RETENTION_DAYS", "1.5", "must be a valid integer"),
        ("KEYTURN_ENVIRONMENT", "two words", "must match pattern"),
        ("KEYTURN_LOG_LEVEL", "loud", "must be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL', not 'loud'"),
        ("KEYTURN_LOG_FORMAT", "xml", "must be 'auto', 'json' or 'pretty', not 'xml'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(variable: str, value: str, expected: str) -> None:
    assert expected in fault(variable, value)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("Bearer eiuytreuihkjfghdlyreuiyt", "line 1 is a sample"),
        ("eiuytreuihkjfghdlyreuiyt", "line 1 is a sample"),
        ("bearer  EIUYTREUIHKJFGHDLYREUIYT ", "line 1 is a sample"),
        ("changeme", "line 1 is a placeholder"),
        ("Bearer change-me-change-me-1", "line 1 is a placeholder"),
        ("Bearer your-token-goes-here", "line 1 is a placeholder"),
        ("Bearer aaaaaaaaaaaaaaaaaaaa", "line 1 is made of fewer than 5"),
        ("Bearer 0123456789", "line 1 is shorter than 16"),
        ("Bearer tR7-kq0Zp2-wv9Xs4é", "line 1 has characters"),
        (f"{TOKEN}\n\nshort-one", "line 3 is shorter than 16"),
        ("\n \n", "must hold at least one token"),
    ],
)
def test_a_weak_webhook_token_is_refused(tokens: str, expected: str) -> None:
    assert expected in fault("KEYTURN_WEBHOOK_TOKENS", tokens)


def test_two_tokens_are_valid_while_they_are_changed() -> None:
    settings = load(KEYTURN_WEBHOOK_TOKENS=f"{TOKEN}\r\n\n  Basic dXNlcjpwYXNzd29yZA== \n{TOKEN}\n")
    assert [token.get_secret_value() for token in settings.webhook_tokens] == [TOKEN, "Basic dXNlcjpwYXNzd29yZA=="]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("words", "line 1 does not begin with an id"),
        (RING.replace("\n", "\n\nx:"), "line 3 has not the base64 of 32 bytes behind its id"),
        (f"{RING}\nnew:{RING_KEYS[1]}", "line 3 repeats an id"),
        ("a:" + "A" * 43 + "=", "line 1 has a key that is not random"),
    ],
)
def test_a_key_ring_that_cannot_be_used_is_refused_line_by_line(value: str, expected: str) -> None:
    told = fault("KEYTURN_VAULT_KEYS", value)
    assert "must hold one ring key per line, as 'keyturn vault new-key' writes it" in told
    assert expected in told
    assert not any(key in told for key in RING_KEYS)


def test_a_key_ring_is_shown_as_set_and_its_keys_are_masked() -> None:
    assert load(FULL).shown()["KEYTURN_VAULT_KEYS"] == "set"
    redactor = Redactor(load(KEYTURN_VAULT_KEYS=f"  {RING}\r\n").secret_values())
    assert redactor.text(f"read {RING}") == "read new:•••\nold:•••"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("KEYTURN_UBLOX_API_KEY", "0d636af8-d001-49ba-86d3-80f21272c14a", "is a sample that the u-blox document"),
        ("KEYTURN_UBLOX_API_SECRET", "nqnazbOMuKAalu9KZwHKyN7tnJua96ki", "is a sample that the u-blox document"),
        ("KEYTURN_UBLOX_API_SECRET", "CHANGE_ME", "is a placeholder"),
        ("KEYTURN_UBLOX_API_KEY", "ab1cd", "must be at least 8 printable"),
        ("KEYTURN_UBLOX_BASE_URL", "http://ssapi.acme.test", "must be an https:// address"),
        ("KEYTURN_CENTAGATE_SECRET_KEY", "ab1cd", "must be at least 8 printable"),
        ("KEYTURN_CENTAGATE_ADMIN_PASSWORD", "changeme-1", "is a placeholder"),
        ("KEYTURN_CENTAGATE_BASE_URL", "http://centagate.acme.test", "must be an https:// address"),
    ],
)
def test_an_upstream_that_cannot_be_trusted_is_refused(variable: str, value: str, expected: str) -> None:
    (only,) = faults({**FULL, variable: value})
    assert expected in only
    assert variable.endswith("_BASE_URL") or value not in only


@pytest.mark.parametrize("address", ["http://127.0.0.1:8001", "http://localhost:8001/", "http://[::1]:8001"])
def test_plain_http_is_for_this_machine_only(address: str) -> None:
    assert load(FULL, KEYTURN_UBLOX_BASE_URL=address).ublox_base_url == address.rstrip("/")


def test_an_upstream_needs_its_credentials_and_they_need_it() -> None:
    assert faults({**PLAIN, "KEYTURN_UBLOX_BASE_URL": "https://ssapi.acme.test"}) == [
        "KEYTURN_UBLOX_API_KEY is required because KEYTURN_UBLOX_BASE_URL is set",
        "KEYTURN_UBLOX_API_SECRET is required because KEYTURN_UBLOX_BASE_URL is set",
    ]
    assert faults({**PLAIN, "KEYTURN_CENTAGATE_BASE_URL": "https://centagate.acme.test"}) == [
        f"KEYTURN_CENTAGATE_{name} is required because KEYTURN_CENTAGATE_BASE_URL is set"
        for name in ("ADMIN_USERNAME", "ADMIN_PASSWORD", "INTEGRATION_KEY", "SECRET_KEY")
    ]
    for name in ("KEYTURN_CENTAGATE_ADMIN_USERNAME", "KEYTURN_CENTAGATE_SECRET_KEY"):
        assert faults({**PLAIN, name: FULL[name]}) == [
            f"{name} is set, but KEYTURN_CENTAGATE_BASE_URL is not: set both or neither"
        ]
    assert faults({**PLAIN, "KEYTURN_UBLOX_API_SECRET": API_SECRET}) == [
        "KEYTURN_UBLOX_API_SECRET is set, but KEYTURN_UBLOX_BASE_URL is not: set both or neither"
    ]


def test_every_fault_is_listed_at_once() -> None:
    found = faults(
        {
            "DATABASE_URL": "mysql://h/d",
            "KEYTURN_PROT": "80",
            "KEYTURN_PORT": "x",
            "KEYTURN_LEASE": "1",
            "KEYTURN_UBLOX_BASE_URL": "nowhere",
            "KEYTURN_UBLOX_API_KEY_FILE": "/no/such/file",
        },
    )
    named = {line.split()[0] for line in found}
    assert named == {
        "DATABASE_URL",
        "KEYTURN_PROT",
        "KEYTURN_PORT",
        "KEYTURN_LEASE",
        "KEYTURN_UBLOX_BASE_URL",
        "KEYTURN_UBLOX_API_KEY_FILE",
        "KEYTURN_UBLOX_API_SECRET",
        "KEYTURN_WEBHOOK_TOKENS",
    }
    assert len(found) == len(named)


@pytest.mark.parametrize(
    ("stranger", "meant"),
    [
        ("KEYTURN_PROT", "KEYTURN_PORT"),
        ("keyturn_port", "KEYTURN_PORT"),
        ("KEYTURN_DATABASE_URL", "DATABASE_URL"),
        ("KEYTURN_SENTRY_DSN_FILE", "SENTRY_DSN_FILE"),
        ("KEYTURN_WEBHOOK_TOKEN", "KEYTURN_WEBHOOK_TOKENS"),
    ],
)
def test_a_mistyped_variable_is_a_fault(stranger: str, meant: str) -> None:
    assert faults({**PLAIN, stranger: "secretly"}) == [
        f"{stranger} is not a variable of Keyturn, did you mean {meant}?"
    ]


def test_a_stranger_that_resembles_nothing_is_a_fault_too() -> None:
    assert faults({**PLAIN, "KEYTURN_QQQ": "1", "OTHER": "2"}) == ["KEYTURN_QQQ is not a variable of Keyturn"]


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


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        f'KEYTURN_PORT=9000\nKEYTURN_HOST=0.0.0.0\nKEYTURN_WEBHOOK_TOKENS="{TOKEN}\\nBasic q1w2e3r4t5y6u7i8"\n'
    )
    settings = load_settings({"KEYTURN_PORT": "9100"}, path)
    assert (settings.port, settings.host, len(settings.webhook_tokens)) == (9100, "0.0.0.0", 2)
    assert load_settings(PLAIN, tmp_path / "absent").port == 8080


def test_a_broken_env_file_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"KEYTURN_PORT=\xff\n")
    assert faults(PLAIN, path) == [f"{path} must be a readable UTF-8 file (not UTF-8)"]
    path.write_text("KEYTURN_PORT\n")
    assert faults(PLAIN, path) == [f"KEYTURN_PORT has no = in {path}"]


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


def test_each_setting_is_described_with_its_variable_and_default() -> None:
    table = {row.variable: row for row in describe()}
    assert set(table) == {variable_of(name) for name in Settings.model_fields}
    assert all(re.fullmatch(r"[A-Z].*\.", row.description) for row in table.values())
    assert (table["KEYTURN_PORT"].default, table["KEYTURN_WEBHOOK_TOKENS"].default) == ("8080", "required")
    assert table["DATABASE_URL"].description.endswith("Or in a file: DATABASE_URL_FILE.")


def test_each_field_of_secret_type_can_come_from_a_file() -> None:
    typed = {name for name, field in Settings.model_fields.items() if "SecretStr" in _spelt(field.annotation)}
    assert typed == SECRET_FIELDS


def _spelt(annotation: object) -> str:
    return f"{annotation} {[_spelt(part) for part in get_args(annotation)]}"
