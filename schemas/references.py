"""Where a secret stands: documents name the place, never the secret itself.

A new kind of place is one more model in `SecretReference`; whoever resolves references takes it up there.
"""

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationInfo

from schemas.secret import SecretName

UNREPEATED: Final = "secret_reference"
"""Type of a fault whose wrong value is not repeated to anybody: it may be a secret."""

KINDS: Final = ("file", "env", "vault")
"""The key that tells one kind of reference from another."""


class _Reference(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _beside_the_document(value: object, info: ValidationInfo) -> object:
    """A relative path starts at the folder of the document that names it."""
    folder = (info.context or {}).get("folder")
    return folder / value if isinstance(value, str) and value and folder is not None else value


LocalPath = Annotated[Path, BeforeValidator(_beside_the_document)]
"""A path; a relative one starts at the folder of its document."""


class FileReference(_Reference):
    """A secret in a file; line ends at its end do not count."""

    file: LocalPath = Field(description="path of the file; a relative one starts at the folder of this document")

    def __str__(self) -> str:
        return f"file {self.file}"


class EnvironmentReference(_Reference):
    """A secret in a variable of the environment."""

    env: str = Field(description="name of the variable", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")

    def __str__(self) -> str:
        return f"variable {self.env}"


class VaultReference(_Reference):
    """A secret in Keyturn's own vault."""

    vault: SecretName = Field(description="name of the secret in the vault, such as tap/IOTZ00000000000042/password")

    def __str__(self) -> str:
        return f"vault secret {self.vault}"


def _kind(value: Any) -> str | None:
    if isinstance(value, _Reference):
        return next(iter(type(value).model_fields))
    found = [kind for kind in KINDS if isinstance(value, dict) and kind in value]
    return found[0] if len(found) == 1 else None


SecretReference = Annotated[
    Annotated[FileReference, Tag("file")]
    | Annotated[EnvironmentReference, Tag("env")]
    | Annotated[VaultReference, Tag("vault")],
    Discriminator(
        _kind,
        custom_error_type=UNREPEATED,
        custom_error_message=(
            'expected where the secret stands, such as { file = "path" }, { env = "NAME" } or { vault = "name" }'
        ),
    ),
]
"""Where a secret stands. A secret written out is refused, and not repeated in the fault."""
