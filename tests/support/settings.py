"""Settings of an installation, loaded or refused, for the stories of settings."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.settings import Settings, load_settings
from schemas.errors import ConfigurationError
from tests.support.vault import ring_text

TOKEN = "Bearer tR7-kq0Zp2-wv9Xs4"

API_KEY = "7c1f9e52-3d84-4b0a"

API_SECRET = "hV3nQ8sLw2Zt6Yp0"

PASSWORD = "s3cr3t-Pa55"

ADMIN_PASSWORD, INTEGRATION_KEY, SECRET_KEY = "Zu8-qWe4-rTy", "5d2a8c41e7b09f36", "Lq7vB2nX9cK4mJ1h"

METRICS_TOKEN = "metrics-5e0b71"

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
    "KEYTURN_METRICS_TOKEN": METRICS_TOKEN,
}

SECRETS = (
    TOKEN,
    TOKEN.removeprefix("Bearer "),
    API_KEY,
    API_SECRET,
    ADMIN_PASSWORD,
    INTEGRATION_KEY,
    SECRET_KEY,
    METRICS_TOKEN,
    PASSWORD,
    DSN,
    DSN_KEY,
    *RING_KEYS,
)


def load(environ: Mapping[str, str] = {}, env_file: Path | None = None, **more: str) -> Settings:
    """Load settings; those that are required are given."""
    return load_settings({**PLAIN, **environ, **more}, env_file)


def faults(environ: Mapping[str, str], env_file: Path | None = None) -> list[str]:
    """The faults of settings that are refused."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ, env_file)
    return str(caught.value).splitlines()


def fault(variable: str, value: str) -> str:
    """The one fault of a value."""
    (only,) = faults({**PLAIN, variable: value})
    assert only.startswith(f"{variable} ")
    return only
