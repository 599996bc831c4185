"""Finds the raw text of every setting: the environment, then the `.env` file, then the files named by ``*_FILE``.

Where nobody has set up anything, what `keyturn up` has made up holds, so that commands beside it speak to the same
installation: all of it or nothing, because a setting that was forgotten must not be filled in from a trial.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from pydantic_settings import BaseSettings, DotEnvSettingsSource

PREFIX: Final = "KEYTURN_"

CONVENTIONAL: Final = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL", "sentry_dsn": "SENTRY_DSN"}
"""Fields whose variable goes without prefix, because hosting platforms set it under this name."""

DATA_DIR: Final = "var"

_MADE_UP: Final = "up.env"
_OF_THIS_RUN: Final = frozenset({"KEYTURN_DATA_DIR", "KEYTURN_PORT", "KEYTURN_LOG_LEVEL", "KEYTURN_LOG_FORMAT"})

EMPTY_MEANS_SOMETHING: Final = frozenset({"ublox_auth_scheme", "centagate_prefix", "centagate_auth_prefix"})
"""Fields for which an empty text is a value; for every other field it means "not given"."""

LARGEST_FILE: Final = 65_536
"""Bytes of a secret file; a longer one is not a secret but a mistaken path."""


@dataclass(frozen=True)
class Gathered:
    """The raw texts and what was wrong on the way to them."""

    values: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def variable_of(name: str) -> str:
    """Give the environment variable of a field."""
    return CONVENTIONAL.get(name, PREFIX + name.upper())


def variables(environ: Mapping[str, str], env_file: Path | None = Path(".env")) -> dict[str, str]:
    """Give every variable as `gather` sees it; what is wrong with the `.env` file is told there."""
    return {**_dotenv(env_file, Gathered()), **environ}


def gather(
    environ: Mapping[str, str],
    env_file: Path | None,
    fields: Collection[str],
    secret_fields: Collection[str],
) -> Gathered:
    """Find the text of each field; the environment wins over the `.env` file, variable by variable.

    Args:
        environ: the variables of the process.
        env_file: the `.env` file; with None nothing but `environ` counts.
        fields: the names of the settings.
        secret_fields: of these, those that may stand in a file.
    """
    found = Gathered()
    given = {**_dotenv(env_file, found), **environ}
    if env_file is not None:
        made = _made_up(given, found)
        given = {**made, **{name: value for name, value in given.items() if value or name not in made}}
    found.faults.extend(_unknown(given, fields, secret_fields))
    for name in fields:
        _find(name, given, found, from_file=name in secret_fields)
    return found


def keep_made_up(data_dir: Path, values: Mapping[str, str]) -> None:
    """Leave word of what was made up, for this machine's user alone."""
    path = _made_up_in({"KEYTURN_DATA_DIR": str(data_dir)})
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name}={_quoted(value)}\n" for name, value in sorted(values.items()))
    fresh.replace(path)


def _made_up(given: Mapping[str, str], found: Gathered) -> dict[str, str]:
    known = {name.removesuffix("_FILE") for name, value in given.items() if value} - _OF_THIS_RUN
    if any(name.startswith(PREFIX) or name in CONVENTIONAL.values() for name in known):
        return {}  # somebody else's trial in this folder is not even looked at
    return _dotenv(_made_up_in(given), found)


def _made_up_in(given: Mapping[str, str]) -> Path:
    return Path(given.get("KEYTURN_DATA_DIR") or DATA_DIR) / _MADE_UP


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _dotenv(env_file: Path | None, found: Gathered) -> dict[str, str]:
    try:
        if env_file is None or not env_file.exists():
            return {}
        pairs = DotEnvSettingsSource(BaseSettings, env_file=env_file, case_sensitive=True).env_vars
    except (OSError, UnicodeDecodeError) as error:
        found.faults.append(f"{env_file} must be a readable UTF-8 file ({_reason(error)})")
        return {}
    found.faults.extend(f"{name} has no = in {env_file}" for name, value in pairs.items() if value is None)
    return {name: value for name, value in pairs.items() if value is not None}


def _unknown(given: Collection[str], fields: Collection[str], secret_fields: Collection[str]) -> list[str]:
    known = {variable_of(name) for name in fields} | {f"{variable_of(name)}_FILE" for name in secret_fields}
    strangers = sorted(name for name in given if name.upper().startswith(PREFIX) and name not in known)
    return [f"{name} is not a variable of Keyturn{_suggestion(name, known)}" for name in strangers]


def _suggestion(name: str, known: Collection[str]) -> str:
    bare = name.upper().removeprefix(PREFIX)
    if bare in known:
        return f", did you mean {bare}?"
    close = get_close_matches(name.upper(), known, n=1, cutoff=0.7)
    return f", did you mean {close[0]}?" if close else ""


def _find(name: str, given: Mapping[str, str], found: Gathered, *, from_file: bool) -> None:
    variable = variable_of(name)
    text, path = given.get(variable), given.get(f"{variable}_FILE") if from_file else None
    if text == "" and name not in EMPTY_MEANS_SOMETHING:
        text = None
    if text is not None and path:
        _fault(name, found, f"{variable} and {variable}_FILE are both set, keep one of them")
    elif path:
        _read(name, Path(path), found)
    elif text is not None:
        found.values[name], found.variables[name] = text, variable


def _read(name: str, path: Path, found: Gathered) -> None:
    """Take the value from its file; the path is not repeated in a fault, it may be the secret itself by mistake."""
    variable = f"{variable_of(name)}_FILE"
    try:
        text = _content(path)
    except (OSError, ValueError) as error:
        _fault(name, found, f"{variable} must name a readable text file ({_reason(error)})")
        return
    if not text:
        _fault(name, found, f"{variable} must name a file that holds the value, this one is empty")
        return
    found.values[name], found.variables[name] = text, variable


def _content(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        raise ValueError(f"longer than {LARGEST_FILE} bytes")
    return raw.decode().rstrip("\r\n")


def _reason(error: OSError | ValueError) -> str:
    """A reason without the file's content: the text of a decoding error shows the byte it fell over."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)


def _fault(name: str, found: Gathered, text: str) -> None:
    found.faulty.add(name)
    found.faults.append(text)
