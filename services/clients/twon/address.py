"""Where a 2N device is, and how to be let in."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from schemas.errors import InputError

Auth = Literal["digest", "basic", "none"]

_AUTHS: Final = ("digest", "basic", "none")


@dataclass(frozen=True, kw_only=True, slots=True)
class TwonAddress:
    """Where a 2N device is, and how to be let in.

    Attributes:
        url: ``https://host[:port]``.
        user: name of an API account of the device.
        password: its password; None only without authentication.
        auth: what the device's service asks for.
        fingerprint: SHA-256 of the device's certificate in DER, hexadecimal, colons allowed: it alone is trusted.
        ca_file: trust only the CAs in this PEM file; without it and a fingerprint, the public CAs.
        in_clear: allow ``http://``, where keys, and a Basic password, travel for everybody to read.

    Raises:
        InputError: the parts do not fit together; every fault is listed.
    """

    url: str
    user: str = "admin"
    password: SecretStr | None = None
    auth: Auth = "digest"
    fingerprint: str | None = None
    ca_file: Path | None = None
    in_clear: bool = False

    def __post_init__(self) -> None:
        if self.fingerprint is not None:
            object.__setattr__(self, "fingerprint", self.fingerprint.replace(":", "").lower())
        if faults := [*_url_faults(self.url, in_clear=self.in_clear), *self._trust_faults(), *self._login_faults()]:
            raise InputError(faults)

    @property
    def name(self) -> str:
        """Host, port and path in one spelling, whatever the scheme."""
        parts = urlsplit(self.url)
        return f"{parts.netloc}{parts.path}".lower().rstrip("/")

    def _trust_faults(self) -> list[str]:
        faults = []
        if self.fingerprint is not None and not re.fullmatch("[0-9a-f]{64}", self.fingerprint):
            faults.append("fingerprint: expected a SHA-256 of 64 hexadecimal digits")
        if self.fingerprint is not None and self.ca_file is not None:
            faults.append("expected either a fingerprint or a CA file, not both")
        if self.url.lower().startswith("http:") and (self.fingerprint or self.ca_file):
            faults.append("a fingerprint or a CA file has no meaning for http://")
        return faults

    def _login_faults(self) -> list[str]:
        if self.auth not in _AUTHS:
            return [f"auth: expected one of {', '.join(_AUTHS)}"]
        if self.auth == "none":
            return []
        faults = []
        if self.password is None or not self.password.get_secret_value():
            faults.append(f"password: is missing; {self.auth} authentication needs it")
        if not (self.user and self.user.isprintable() and self.user.isascii()) or ":" in self.user:
            faults.append("user: expected printable ASCII characters without a colon")
        return faults


def _url_faults(url: str, *, in_clear: bool) -> list[str]:
    parts = _split(url)
    if parts is None or not parts.hostname or parts.scheme not in {"https", "http"}:
        return ["url: expected https://host or https://host:port"]
    faults = []
    if parts.username is not None or parts.query or parts.fragment:
        faults.append("url: expected no user, password, query or fragment in it")
    if parts.scheme == "http" and not in_clear:
        faults.append("url: http:// would send keys in the clear; use https://, or allow it with in_clear")
    return faults


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if url.isascii() and url.isprintable() and " " not in url else None
