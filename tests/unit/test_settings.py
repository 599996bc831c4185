"""Settings: every fault at once, each under the name of its variable."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.redaction import Redactor
from infra.settings import Settings, describe, keep_made_up, load_settings, variable_of
from tests.support.settings import (
    API_SECRET,
    FULL,
    PLAIN,
    RING,
    RING_KEYS,
    TOKEN,
    fault,
    faults,
    load,
)


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


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("", ()),
        ("/apiversion", ("/apiversion",)),
        (" /notification/webhook/get,/apiversion ", ("/notification/webhook/get", "/apiversion")),
    ],
)
def test_endpoints_are_named_with_blanks_or_commas_between_them(given: str, read: tuple[str, ...]) -> None:
    settings = load(KEYTURN_UBLOX_GET_ENDPOINTS=given)
    assert settings.ublox_get_endpoints == read
    assert settings.shown()["KEYTURN_UBLOX_GET_ENDPOINTS"] == (" ".join(read) or "none")


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
        (
            "KEYTURN_UBLOX_GET_ENDPOINTS",
            "/apiversion, /tag/get",
            "must be '/apiversion' or '/notification/webhook/get', not '/apiversion, /tag/get'",
        ),
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


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        f'KEYTURN_PORT=9000\nKEYTURN_HOST=0.0.0.0\nKEYTURN_WEBHOOK_TOKENS="{TOKEN}\\nBasic q1w2e3r4t5y6u7i8"\n'
    )
    settings = load_settings({"KEYTURN_PORT": "9100"}, path)
    assert (settings.port, settings.host, len(settings.webhook_tokens)) == (9100, "0.0.0.0", 2)
    assert load_settings(PLAIN, tmp_path / "absent").port == 8080


def test_what_was_made_up_holds_only_where_nobody_has_set_up_anything(tmp_path: Path) -> None:
    token = "Bearer it's-\\-made-up-too"
    keep_made_up(tmp_path, {"KEYTURN_WEBHOOK_TOKENS": token, "KEYTURN_ENVIRONMENT": "up", "KEYTURN_PORT": "9000"})
    where, env_file = {"KEYTURN_DATA_DIR": str(tmp_path)}, tmp_path / ".env"
    settings = load_settings({**where, "KEYTURN_PORT": "9100"}, env_file)
    assert (settings.environment, settings.port) == ("up", 9100)
    assert [each.get_secret_value() for each in settings.webhook_tokens] == [token]
    assert load_settings({**PLAIN, **where}, env_file).environment == "production"
    for environ, file in ((where, None), ({**where, "KEYTURN_ENVIRONMENT": "plant"}, env_file)):
        (fault,) = faults(environ, file)
        assert fault.startswith("KEYTURN_WEBHOOK_TOKENS (or KEYTURN_WEBHOOK_TOKENS_FILE) is required")
    env_file.write_text(f"KEYTURN_WEBHOOK_TOKENS={TOKEN}\n")
    assert load_settings(where, env_file).environment == "production"


def test_a_broken_env_file_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"KEYTURN_PORT=\xff\n")
    assert faults(PLAIN, path) == [f"{path} must be a readable UTF-8 file (not UTF-8)"]
    path.write_text("KEYTURN_PORT\n")
    assert faults(PLAIN, path) == [f"KEYTURN_PORT has no = in {path}"]


def test_each_setting_is_described_with_its_variable_and_default() -> None:
    table = {row.variable: row for row in describe()}
    assert set(table) == {variable_of(name) for name in Settings.model_fields}
    assert all(re.fullmatch(r"[A-Z].*\.", row.description) for row in table.values())
    assert (table["KEYTURN_PORT"].default, table["KEYTURN_WEBHOOK_TOKENS"].default) == ("8080", "required")
    assert table["DATABASE_URL"].description.endswith("Or in a file: DATABASE_URL_FILE.")


@pytest.mark.parametrize("rate", ["20/second", "1/minute", "300/hour", "5000/day"])
def test_a_rate_is_a_number_and_a_span(rate: str) -> None:
    assert load(KEYTURN_TWON_RATE=rate).twon_rate == rate


@pytest.mark.parametrize(
    "rate", ["20", "0/second", "-1/hour", "20 per second", "20/seconds", "1.5/second", "20/2/second"]
)
def test_anything_else_is_no_rate(rate: str) -> None:
    (only,) = faults({**PLAIN, "KEYTURN_UBLOX_RATE": rate})
    assert "KEYTURN_UBLOX_RATE" in only
