"""How the commands about one Tap tell that something went wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer

from schemas.errors import Busy, InputError, TryAgain, UpstreamError
from services.cli.output import write_json

REFUSED: Final = 1
WRONG_INPUT: Final = 2
TRY_AGAIN: Final = 3


@contextmanager
def told(*, as_json: bool) -> Iterator[None]:
    """Tell what we foresaw in a sentence, and leave with the code that says what to do next."""
    try:
        yield
    except InputError as error:
        fault: InputError | UpstreamError = error
        sentences, code = error.faults, WRONG_INPUT
    except UpstreamError as error:
        fault = error
        sentences, code = (str(error),), TRY_AGAIN if isinstance(error, TryAgain | Busy) else REFUSED
    else:
        return
    if as_json:
        write_json({"ok": False, "error": str(fault), "kind": type(fault).__name__, **_details(fault)})
    else:
        for sentence in sentences:
            typer.echo(sentence, err=True)
    raise typer.Exit(code)


def _details(fault: InputError | UpstreamError) -> dict[str, Any]:
    if isinstance(fault, InputError):
        return {}
    return {"sent": fault.sent, "status": fault.status, "retry_after": getattr(fault, "retry_after", None)}
