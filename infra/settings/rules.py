"""What a setting must be, as pure functions: each gives the value in its normal form or says what is wrong with it."""

import ipaddress
import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from infra.settings.samples import weakness, without_scheme
from schemas.key_ring import ring_keys

SHORTEST_TOKEN: Final = 16
"""Characters of a webhook token without its scheme: who guesses it can ring our bell."""

SHORTEST_CREDENTIAL: Final = 8

POSTGRESQL: Final = "postgresql+psycopg"
"""SQLAlchemy's name for PostgreSQL with psycopg 3."""

_DATABASE: Final = (
    "must be sqlite:///path/to/file or postgresql://user:password@host/name, with special characters percent-encoded"
)
_REDIS: Final = "must be redis://host:port/number, rediss://host:port/number or unix:///path/to/socket"
_DSN: Final = "must be the DSN of a Sentry project, such as https://key@host/1"


def _split(url: str, otherwise: str) -> SplitResult:
    """Take a URL apart; ports and brackets that make no sense are found here too."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(otherwise) from None
    if re.search(r"[\s\x00-\x1f\x7f]", url) or parts.fragment:
        raise ValueError(otherwise)
    return parts


def database_url(value: SecretStr) -> SecretStr:
    """Give the URL as SQLAlchemy wants it; an in-memory SQLite is refused, other processes could not see it."""
    url = value.get_secret_value().strip()
    scheme, _, rest = url.partition("://")
    parts = _split(url, _DATABASE)
    if scheme == "sqlite" and rest.startswith("/") and rest not in {"/", "/:memory:"}:
        return SecretStr(url)
    if scheme in {"postgres", "postgresql", POSTGRESQL} and len(parts.path) > 1:
        return SecretStr(f"{POSTGRESQL}://{rest}")
    raise ValueError(_DATABASE)


_UNVERIFIED: Final = re.compile(r"ssl_(cert_reqs=(cert_)?(none|optional)|check_hostname=(false|no|0))", re.IGNORECASE)


def redis_url(value: SecretStr) -> SecretStr:
    """Give the URL when redis-py can use it."""
    url = value.get_secret_value().strip()
    parts = _split(url, _REDIS)
    if _UNVERIFIED.search(parts.query):
        raise ValueError("must not switch off the verification of TLS; name a CA with ssl_ca_certs instead")
    tcp = parts.scheme in {"redis", "rediss"} and parts.hostname and re.fullmatch(r"(/\d*)?", parts.path)
    if not tcp and not (parts.scheme == "unix" and len(parts.path) > 1):
        raise ValueError(_REDIS)
    return SecretStr(url)


def sentry_dsn(value: SecretStr) -> SecretStr:
    """Give the DSN when it has a key, a host and a project."""
    url = value.get_secret_value().strip()
    parts = _split(url, _DSN)
    if parts.scheme not in {"http", "https"} or not (parts.username and parts.hostname):
        raise ValueError(_DSN)
    if not parts.path.rpartition("/")[2].isdigit():
        raise ValueError(_DSN)
    return SecretStr(url)


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def public_address(url: str) -> str:
    """An https address without closing slash: u-blox calls no other (``/notification/webhook/create``)."""
    address = web_address(url)
    if not address.startswith("https://"):
        raise ValueError("must be an https address: u-blox calls no other")
    return address


def web_address(url: str) -> str:
    """Give an http or https address without closing slash; credentials, query and fragment have no place in it."""
    expected = "must be an address such as https://host/path, without user, query or fragment"
    parts = _split(url, expected)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ValueError(expected)
    return url.rstrip("/")


def upstream_address(url: str) -> str:
    """Give the address of an outside system: https, unless it is this machine."""
    address = web_address(url)
    parts = urlsplit(address)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be an https:// address; http:// is for this machine only (127.0.0.1, ::1, localhost)")
    return address


def words(value: object) -> object:
    """Take a list apart that is written with blanks or commas."""
    return tuple(dict.fromkeys(value.replace(",", " ").split())) if isinstance(value, str) else value


def webhook_tokens(value: object) -> object:
    """Read one whole Authorization value per line; every bad line is named by its number."""
    if not isinstance(value, str):
        return value
    lines = [(number, line.strip()) for number, line in enumerate(value.splitlines(), 1) if line.strip()]
    if not lines:
        raise ValueError("must hold at least one token")
    faults = [f"line {number} {fault}" for number, line in lines if (fault := _token_fault(line))]
    if faults:
        raise ValueError("must hold one whole Authorization value per line: " + ", ".join(faults))
    return tuple(dict.fromkeys(line for _, line in lines))


def _token_fault(line: str) -> str | None:
    if not (line.isascii() and line.isprintable()):
        return "has characters that an HTTP header cannot carry"
    return weakness(line) or (
        f"is shorter than {SHORTEST_TOKEN} characters (a leading Bearer does not count)"
        if len(without_scheme(line)) < SHORTEST_TOKEN
        else None
    )


def credential(value: SecretStr | None) -> SecretStr | None:
    """Give a key or secret without the blanks around it, unless everybody can know it."""
    if value is None:
        return None
    text = value.get_secret_value().strip()
    if fault := weakness(text):
        raise ValueError(f"cannot be used: it {fault}")
    if len(text) < SHORTEST_CREDENTIAL or not (text.isascii() and text.isprintable()):
        raise ValueError(f"must be at least {SHORTEST_CREDENTIAL} printable ASCII characters")
    return SecretStr(text)


def vault_keys(value: SecretStr | None) -> SecretStr | None:
    """Give the key ring when each of its lines can be used."""
    if value is not None:
        ring_keys(value.get_secret_value())
    return value


def readable_file(path: Path) -> Path:
    """Give the path of a file that is there."""
    if not path.is_file():
        raise ValueError("must be the path of a file that exists")
    return path


def upper(value: object) -> object:
    """Let `info` mean `INFO`."""
    return value.strip().upper() if isinstance(value, str) else value
