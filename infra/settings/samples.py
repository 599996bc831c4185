"""Values that must not be used as a secret because everybody can know them."""

import hashlib
import re
from typing import Final

PUBLISHED: Final = frozenset(
    {
        # SHA-256 of the case-folded samples of the u-blox Security Services REST APIs 1.1.29; the samples themselves
        # are kept out of the code, so that no scanner finds a credential in it
        "a173057358302dd738d12da73630d988db3227e57413b97a08530c6f17f2eac5",  # AuthorizationToken, without Bearer
        "4fc616b7b0dd4fa6be61bda243c88b62980b33e96fc353b4b1a7fd8546cab801",  # APIKey
        "1f5de353620ace600ed8314aebab854fe531709b88018bab9d408d0231cbaf3d",  # APISecret
    },
)

PLACEHOLDERS: Final = ("changeme", "replaceme", "placeholder", "example", "yourtoken", "yourkey", "yoursecret")
"""What guides write where a secret should stand, without marks and spaces."""

FEWEST_CHARACTERS: Final = 5
"""A secret made of fewer different characters is a row of one key."""


def without_scheme(text: str) -> str:
    """Give an Authorization value without a leading Bearer."""
    return re.sub(r"^bearer\s+", "", text.strip(), flags=re.IGNORECASE)


def weakness(text: str) -> str | None:
    """Say why a secret is refused, or give None when nothing speaks against it."""
    secret = without_scheme(text).casefold()
    if hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest() in PUBLISHED:
        return "is a sample that the u-blox document publishes, use one of your own"
    if any(placeholder in re.sub(r"[^a-z0-9]", "", secret) for placeholder in PLACEHOLDERS):
        return "is a placeholder out of a guide, use a random value"
    if len(set(secret)) < FEWEST_CHARACTERS:
        return f"is made of fewer than {FEWEST_CHARACTERS} different characters, use a random value"
    return None
