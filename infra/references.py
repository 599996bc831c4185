"""Fetches a secret from where a document says that it stands. Only when it is needed, and nobody keeps it for long."""

import os
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from schemas.errors import InputError
from schemas.references import EnvironmentReference, FileReference

LARGEST: Final = 65_536
"""Bytes of a secret's file; a longer one is a mistaken path."""


def resolve(reference: FileReference | EnvironmentReference) -> SecretStr:
    """Fetch a secret.

    Raises:
        InputError: it is not there; the text names the place, never the content.
    """
    text = _from_file(reference.file) if isinstance(reference, FileReference) else os.environ.get(reference.env, "")
    if not text:
        raise InputError([f"{reference} holds no secret"])
    return SecretStr(text)


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise InputError([f"file {path} is longer than {LARGEST} bytes: not a secret"])
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError([f"file {path} is not UTF-8"]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise InputError([f"file {path} cannot be read: {reason}"]) from None
