"""What an answer of CENTAGATE means for whoever asked.

The return code decides. Its meaning is told in our words: the service's own message may repeat a phone number, and is
told, without long numbers, only where nothing else is known. Source: `schemas.centagate.codes`.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from schemas.centagate import CODES, Reaction, ReturnCode, read_code
from schemas.errors import OurFault, Refused, TryAgain, UpstreamError
from services.clients.answers import Answer

_KINDS: Final[Mapping[Reaction, type[UpstreamError]]] = {
    Reaction.RETRY: TryAgain,
    Reaction.PERMANENT: Refused,
    Reaction.ASK: Refused,
    Reaction.CONFIGURATION: OurFault,
    Reaction.RELOGIN: OurFault,
    Reaction.CLOCK: OurFault,
}

_LONG_NUMBER: Final = re.compile(r"\+?[0-9][0-9 ().-]{4,}[0-9]")


def code_of(answer: Answer, call: str) -> ReturnCode:
    """Give the return code of an answer; also of one with an error status, if it has one.

    Raises:
        TryAgain: it has none, as when a gateway answered in the service's place.
        OurFault: the status says that we do not speak as the service expects.
    """
    number = read_code(answer.document)
    if number is not None and (answer.ok or number != 0):
        known = CODES.get(number)
        return known or ReturnCode(number, Reaction.PERMANENT, without_numbers(answer.message) or "no known meaning")
    if answer.ok:
        raise TryAgain(f"{call} answered {answer.status} without a return code", call=call, status=answer.status)
    hint = " (check the address and the prefixes in the settings)" if answer.status == HTTPStatus.NOT_FOUND else ""
    said = f": {without_numbers(answer.message)}" if answer.message else ""
    raise OurFault(f"{call} answered {answer.status}{said}{hint}", call=call, status=answer.status)


def fault(code: ReturnCode, call: str, status: int) -> UpstreamError:
    """Name what to do about a code that is no success."""
    return _KINDS[code.reaction](f"{call} answered {code.text}", call=call, status=status)


def without_numbers(text: str) -> str:
    """Strike out whatever may be a phone number or a serial number."""
    return _LONG_NUMBER.sub("•••", text)
