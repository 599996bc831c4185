"""Fetches a secret from where a document says that it stands. Only when it is needed, and nobody keeps it for long."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import ConfigurationError, InputError
from schemas.references import FileReference, SecretReference, VaultReference
from schemas.secret import Secret

if TYPE_CHECKING:
    from infra.vault import Vault

LARGEST: Final = 65_536
"""Bytes of a secret's file; a longer one is a mistaken path."""


def resolve(reference: SecretReference, vault: "Vault | None" = None) -> Secret:
    """Fetch a secret; one of the vault needs the vault.

    Raises:
        InputError: it is not there; the text names the place, never the content.
        ConfigurationError: there is no vault, or its key ring cannot open the secret.
        LedgerUnavailable: the vault cannot be read now.
    """
    if isinstance(reference, VaultReference):
        if vault is None:
            raise ConfigurationError(f"{reference} is needed, but no vault is open: set KEYTURN_VAULT_KEYS")
        return vault.get(reference.vault)
    text = _from_file(reference.file) if isinstance(reference, FileReference) else os.environ.get(reference.env, "")
    if not text:
        raise InputError([f"{reference} holds no secret"])
    return Secret(text)


def _from_file(path: Path) -> str:
    raw = _raw(path)
    if len(raw) > LARGEST:
        raise InputError([f"file {path} is longer than {LARGEST} bytes: not a secret"])
    with suppress(UnicodeDecodeError):  # it holds the bytes, and would stay in the chain of what is raised from it
        return raw.decode().rstrip("\r\n")
    raise InputError([f"file {path} is not UTF-8"])


def _raw(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise InputError([f"file {path} cannot be read: {reason}"]) from None
