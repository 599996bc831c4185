"""How every call to u-blox is made: checked before it is sent, with the session's token, page by page where there are.

Source: Security Services REST APIs 1.1.29.
"""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, TypeVar

from pydantic import SecretStr, ValidationError

from infra.coordination import Coordination
from schemas.errors import OurFault
from schemas.events import parse_timestamp
from schemas.ublox import BATCH, Selector, UbloxRequest, WhitelistUpload, items, read_total
from schemas.ublox.reading import whole_number
from services.clients.answers import Answer
from services.clients.transport import Transport
from services.clients.ublox.faults import fault
from services.clients.ublox.session import Session

R = TypeVar("R", bound=UbloxRequest)
T = TypeVar("T")
H = TypeVar("H", bound=Hashable)

_IDS: Final[Mapping[str, str]] = {
    "rot_public_uids": "devices",
    "imeis": "IMEIs",
    "device_serial_numbers": "DeviceSerialNumbers",
    "serial_numbers": "certificates",
    "device_profile_uids": "device profiles",
}
"""Fields of requests that name what a call is about, one by one."""

Which = Selector | Collection[str]
"""Devices by a selector, or simply by their ROTPublicUIDs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How calls are written where the document does not tell, or u-blox itself does otherwise.

    Attributes:
        scheme: stands before the token; the document says bearer, u-blox's own script sends the bare token ("").
        by_get: paths of calls without a body that are made with GET.
    """

    scheme: str = "Bearer"
    by_get: Collection[str] = ()


class Caller:
    """Makes the calls of one account; a call that is answered 401 is repeated once, with the token of one new log-in.

    Args:
        base_url: tells this account's shared session from that of another service.
        dialect: how the calls are written.
        clock: the time now, with its zone.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: SecretStr,
        api_secret: SecretStr,
        transport: Transport,
        dialect: Dialect,
        coordination: Coordination | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._dialect = dialect
        self._clock = clock
        self._session = Session(
            api_key,
            api_secret,
            account=f"{base_url} {api_key.get_secret_value()}",
            send=lambda step: self._send(step.request, step.auth),
            coordination=coordination,
            clock=lambda: clock().timestamp(),
        )

    def ask(self, kind: type[R], which: Which | None = None, **fields: Any) -> R:
        """Make a request, or say what is wrong with it; nothing is sent.

        Args:
            kind: which request.
            which: the devices that it is about, where it is about some.
            fields: the rest, by our names; what is None or an empty collection is left out.

        Raises:
            OurFault: the document forbids it.
        """
        try:
            chosen = {} if which is None else _chosen(which)
            if foreign := chosen.keys() - kind.model_fields:
                raise OurFault(f"{kind.path} cannot be asked by {', '.join(foreign)}", call=kind.path, sent=False)
            request = kind(**chosen, **fields)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise OurFault(f"{kind.path} would be wrong: {faults}", call=kind.path, sent=False) from None
        self._check_bounds(request)
        return request

    def call(self, request: UbloxRequest) -> Answer:
        """Make one call.

        Raises:
            UpstreamError: one of its kinds, by what is to be done next.
        """
        token = self._session.token()
        answer = self._send(request, token)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            token = self._session.replace(token)
            answer = self._send(request, token)
            if answer.status == HTTPStatus.UNAUTHORIZED:
                self._session.in_vain(token)
        trouble = fault(answer)
        if trouble is not None:
            raise trouble
        return answer

    def write(self, kind: type[R], which: Which | None = None, **fields: Any) -> str:
        """Make one call whose answer, if there is any, is a text, and give that."""
        return self.call(self.ask(kind, which, **fields)).message

    def pages(self, first: UbloxRequest, read: Callable[[object], T]) -> Iterator[list[T]]:
        """Ask page by page, until one is empty or as many came as there are; a page is at most 100 long.

        What a page count promises is not believed, because records come and go during the walk. A page that says the
        same as the one before it ends the walk too.

        Raises:
            OurFault: another page came than was asked for; the list would be incomplete, or without an end.
        """
        for document in self._documents(first):
            yield [read(item) for item in items(document, first.listed)]

    def walk(self, first: UbloxRequest, read: Callable[[object], T | None], key: Callable[[T], H]) -> Iterator[T]:
        """Walk through all items of all pages, each once by its key: one that moves between pages comes twice.

        Items that cannot be read are passed over. A page that brings nothing new ends the walk.
        """
        seen: set[H] = set()
        for page in self.pages(first, read):
            known = [item for item in page if item is not None]
            fresh: dict[H, T] = {}
            for item in known:
                if (name := key(item)) not in seen:
                    fresh.setdefault(name, item)
            yield from fresh.values()
            seen.update(fresh)
            if known and not fresh:
                return

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def _documents(self, first: UbloxRequest) -> Iterator[Any]:
        met, number, before = 0, 1, None
        while True:
            answer = self.call(first.model_copy(update={"page_number": number}))
            document = answer.json()
            told = whole_number(document, "PageNumber")
            if told not in {None, number}:
                text = f"{answer.text}, but with page {told} instead of {number}"
                raise OurFault(text, call=answer.path, status=answer.status)
            if document == before:
                return  # it knows no pages, and says the same again
            before = document
            yield document
            count, total = len(items(document, first.listed)), read_total(document)
            met, number = met + count, number + 1
            if not count or (total is not None and met >= total):
                return

    def _check_bounds(self, request: UbloxRequest) -> None:
        path = request.path
        for field, named in _IDS.items():
            if (count := len(getattr(request, field, None) or ())) > BATCH:
                raise OurFault(f"{path} takes at most {BATCH} {named}, not {count}", call=path, sent=False)
        told = getattr(request, "from_date", None)
        if request.reaches_back is None or told is None:
            return
        earliest, begins = self._clock() - timedelta(days=request.reaches_back), parse_timestamp(told)
        too_early = begins.date() < earliest.date() if request.by_day else begins < earliest
        if too_early:
            limit = as_day(earliest) if request.by_day else with_offset(earliest)
            text = f"{path} goes back at most {request.reaches_back} days, to {limit}, not to {told}"
            raise OurFault(text, call=path, sent=False)

    def _send(self, request: UbloxRequest, auth: str | None) -> Answer:
        headers = {} if auth is None else {"Authorization": f"{self._dialect.scheme} {auth}".strip()}
        if request.path in self._dialect.by_get:
            return self._transport.request("GET", request.path, headers=headers)
        body: Mapping[str, Any] | bytes = request.body()
        if isinstance(request, WhitelistUpload):
            body, headers["Content-Type"] = request.written(), request.content_type
        return self._transport.request("POST", request.path, body=body, headers=headers, conceal=request.concealed())


def document_of(answer: Answer) -> Any:
    """Give what a write answered; nothing at all is a success as well, because the document shows no success of any.

    Raises:
        TryAgain: it is something, but not JSON.
    """
    return answer.json() if answer.body.strip() else None


def with_offset(moment: datetime) -> str:
    """A time as the samples of FromDate and ToDate write it, 2020-02-01T00:00:00+00:00."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def as_day(moment: date) -> str:
    """A day as ``/device/usage/get`` wants it; a time counts by its day in UTC."""
    day = moment.astimezone(UTC).date() if isinstance(moment, datetime) else moment
    return day.isoformat()


def _chosen(which: Which) -> dict[str, Any]:
    selector = which if isinstance(which, Selector) else Selector(uids=tuple(which))
    return selector.fields()
