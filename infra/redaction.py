"""What must not be read by others is taken out here, for the logs, for Sentry and for the settings when they are shown.

Three nets, one under the other: the secrets of the settings wherever they stand in a text, the names of things that
are secret whatever their value, and shapes that only credentials have (Bearer values, passwords in URLs, PEM keys).
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, time
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Final
from urllib.parse import quote, quote_plus
from uuid import UUID

from pydantic import SecretBytes, SecretStr

from schemas.secret import MASK

SHORTEST_WITHIN: Final = 6
"""A shorter secret is masked only where it is the whole value: to mask every "abc" would eat the sense of the logs."""

DEEPEST: Final = 16
"""Values nested deeper than this are shown as text; a Sentry event is about ten deep."""

LARGEST_INTEGER_BITS: Final = 4096
"""Python refuses to write longer integers in decimal."""

_SECRET_WORD: Final = re.compile(
    r"auth(orization)?|(token|secret|cookie|credential)s?|passw(or)?ds?|pwd|passphrase|apikey|dsn|jwt|psk|pin|otp"
)
_SECRET_KEY: Final = re.compile(
    r"(api|private|secret|access|signing|encryption|session|master|mobile|e2e|vault|ring)key|keymaterial"
)
"""Which keys are secret; a lock key, a dedupe key or a public key is not."""

_HARMLESS_END: Final = re.compile(
    r"ids?|count|type|status|state|serial|age|expires|expiry|at|kind|version|length|scheme|fingerprint|variable|file|name|days"
)
"""Last words of names that only speak about a secret, such as token_id or password_age."""

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+[a-z]*")

_NAMES: Final = r"(?:authorization|token|secret|passw(?:or)?d|passphrase|cookie|api_?key|private_?key|dsn)"
_SUSPECT: Final = re.compile(r"""://|bearer|basic|eyJ|-----BEGIN|["']\s*:|=""", re.IGNORECASE)
"""What at least stands in a text with one of the shapes; most texts have none of it, and need no further search."""

_SHAPES: Final = (
    # a password in a URL: scheme://user:password@host
    (re.compile(r"(://[^\s:/?#@]*:)[^\s/?#@]+(?=@)"), rf"\g<1>{MASK}"),
    # Authorization values
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\g<1> {MASK}"),
    # JSON Web Tokens; a look behind and no \b, with which a text of dashes would take the square of its length
    (re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}"), MASK),
    # PEM private keys, whole or cut off
    (
        re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:(?!-----).)*(?:-----END [A-Z ]{0,30}-----)?", re.DOTALL),
        MASK,
    ),
    # "name": "value" as JSON and repr write it
    (
        re.compile(rf"""({_NAMES}[\w-]{{0,40}}["']\s*:\s*b?)(["']).*?\2""", re.IGNORECASE | re.DOTALL),
        rf"\g<1>{MASK}",
    ),
    # name=value as query strings and forms write it
    (re.compile(rf"""({_NAMES}=)[^\s&;,'")]+""", re.IGNORECASE), rf"\g<1>{MASK}"),
)


@lru_cache(maxsize=1024)
def looks_secret(name: str) -> bool:
    """Whether a thing of this name is secret whatever its value; APIKey, api-key and api_key are one name."""
    words = [word.casefold() for word in _WORD.findall(name)]
    if not words or _HARMLESS_END.fullmatch(words[-1]):
        return False
    return any(map(_SECRET_WORD.fullmatch, words)) or _SECRET_KEY.search("".join(words)) is not None


def _forms(secret: str) -> set[str]:
    """The ways in which a secret can stand in a text: as it is, and as repr, JSON and URLs write it."""
    written = {secret, repr(secret)[1:-1], ascii(secret)[1:-1], json.dumps(secret)[1:-1]}
    written.add(json.dumps(secret, ensure_ascii=False)[1:-1])
    if secret.isascii():
        written |= {quote(secret, safe=""), quote_plus(secret)}
    return written


class Redactor:
    """Masks secrets in texts and in nested values. It never raises and never changes what it is given."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take the actual values that must never be shown."""
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._whole = frozenset(forms)
        within = sorted((form for form in forms if len(form) >= SHORTEST_WITHIN), key=len, reverse=True)
        self._within = re.compile("|".join(map(re.escape, within))) if within else None

    def text(self, text: str) -> str:
        """Give the text with every secret masked."""
        if text in self._whole:
            return MASK
        if self._within is not None:
            text = self._within.sub(MASK, text)
        if _SUSPECT.search(text) is None:
            return text
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text

    def clean(self, value: object, *, depth: int = 0) -> object:
        """Give the value as plain dicts, lists, texts, numbers and None, with every secret masked."""
        try:
            return self._cleaned(value, depth)
        except Exception:  # noqa: BLE001  # a value with a broken repr or iterator must not cost the log line
            return f"<{type(value).__name__}>"

    def _cleaned(self, value: object, depth: int) -> object:
        if isinstance(value, Enum):
            return self._cleaned(value.value, depth)
        if value is None or isinstance(value, str | bytes | bytearray | int | float):
            return self._scalar(value)
        if depth < DEEPEST and isinstance(value, Mapping):
            return {str(name): shown for name, shown in (self._item(*item, depth) for item in value.items())}
        if depth < DEEPEST and isinstance(value, list | tuple | set | frozenset):
            return [self.clean(item, depth=depth + 1) for item in value]
        return self._described(value)

    def _described(self, value: object) -> str:
        if isinstance(value, SecretStr | SecretBytes):
            return MASK
        if isinstance(value, date | time):
            return value.isoformat()
        return self.text(str(value) if isinstance(value, UUID | PurePath) else repr(value))

    def _scalar(self, value: str | bytes | bytearray | float | None) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes | bytearray):
            return self.text(value.decode("utf-8", "backslashreplace"))
        if isinstance(value, int) and value.bit_length() > LARGEST_INTEGER_BITS:
            return hex(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self._whole:
            return MASK
        return value

    def _item(self, name: object, value: object, depth: int) -> tuple[object, object]:
        shown = self.clean(name, depth=DEEPEST)
        if value is not None and not isinstance(value, bool) and isinstance(name, str) and looks_secret(name):
            return shown, MASK
        return shown, self.clean(value, depth=depth + 1)
