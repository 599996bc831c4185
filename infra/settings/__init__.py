"""The one reader of the environment and of `.env`: settings are read once, checked whole, and never change.

A value is looked for in the environment, then in the `.env` file (where ``${NAME}`` stands for another variable). Each
variable begins with ``KEYTURN_``, save ``DATABASE_URL``, ``REDIS_URL`` and ``SENTRY_DSN``. A secret can stand in a file
named by its variable with ``_FILE`` at the end. An empty variable counts as not given.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from infra.settings.environ import DATA_DIR, Gathered, gather, keep_made_up, variable_of, variables
from infra.settings.model import SECRET_FIELDS, Settings, Variable, build, describe
from schemas.errors import ConfigurationError

__all__ = [
    "DATA_DIR",
    "Settings",
    "Variable",
    "describe",
    "keep_made_up",
    "load_settings",
    "variable_of",
    "variables",
]

LONGEST_ECHO: Final = 40
"""Characters of a wrong value that are repeated in its fault."""


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")) -> Settings:
    """Read and check the settings.

    Args:
        environ: the variables; those of this process when left out.
        env_file: more variables, over which the environment wins; a missing file is no fault.

    Raises:
        ConfigurationError: one line for each fault, naming the variable and what is expected of it.
    """
    found = gather(os.environ if environ is None else environ, env_file, Settings.model_fields, SECRET_FIELDS)
    settings, faults = _checked(found)
    faults = found.faults + faults
    if settings is None or faults:  # raised out of any handler: a chained pydantic error would carry the raw values
        raise ConfigurationError("\n".join(faults))
    return settings


def _checked(found: Gathered) -> tuple[Settings | None, list[str]]:
    try:
        return build(found.values), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
    named = [(str(detail["loc"][0]), detail) for detail in details]
    return None, [_sentence(name, detail, found) for name, detail in named if name not in found.faulty]


def _sentence(name: str, detail: Any, found: Gathered) -> str:
    """Put pydantic's finding in words that name the variable; a secret's value is not repeated."""
    if detail["type"] == "missing":
        return f"{variable_of(name)} (or {variable_of(name)}_FILE) is required: {_purpose(name)}"
    variable = found.variables.get(name, variable_of(name))
    if detail["type"] == "value_error":
        return f"{variable} {detail['msg'].removeprefix('Value error, ')}"
    expected = (
        detail["msg"].partition(", unable to")[0].replace("Input should", "must").replace("String should", "must")
    )
    given = "" if name in SECRET_FIELDS else f", not {found.values.get(name, '')[:LONGEST_ECHO]!r}"
    return f"{variable} {expected}{given}"


def _purpose(name: str) -> str:
    return Settings.model_fields[name].description or ""
