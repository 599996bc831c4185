"""u-blox Security Services in our verbs. Source: Security Services REST APIs 1.1.29.

Everything but `look`, `list_devices` and `list_webhooks` only records a wish: the device acts at a later security
heartbeat, so success is what a later look says.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

from pydantic import SecretStr, ValidationError

from infra.coordination import Coordination
from schemas.errors import OurFault
from schemas.events import EventType
from schemas.ublox import (
    BATCH,
    AuthorityLook,
    CertificateRenew,
    CloneGet,
    Detail,
    DeviceFilter,
    DeviceInfoGet,
    DeviceListGet,
    DeviceLook,
    KeyRotate,
    NotificationGet,
    RootCaGet,
    RotationPolicy,
    Suspect,
    SuspiciousGet,
    UbloxRequest,
    WebhookCreate,
    WebhookDelete,
    WebhookGet,
    WebhookLook,
    WebhookUpdate,
    read_authorities,
    read_device_info,
    read_notices,
    read_suspects,
    read_total,
    read_uids,
    read_webhooks,
)
from services.clients.answers import Answer
from services.clients.transport import Transport
from services.clients.ublox.faults import fault
from services.clients.ublox.session import Session

T = TypeVar("T")

EVERYTHING: Final = tuple(Detail)


class Ublox:
    """One account of u-blox Security Services; safe to share between threads.

    Every verb raises one of the upstream errors of `schemas.errors`. A call that is answered 401 is repeated once, with
    the token of one new log-in.

    Args:
        base_url: tells this account's shared session from that of another service; requests go where `transport` goes.
        api_key: an access key of the account.
        api_secret: its secret.
        transport: built for the base URL.
        scheme: what stands before the token; the document says bearer, u-blox's own script sends the bare token ("").
        coordination: shares the session between processes; without it each process has its own.
        clock: the time now, with its zone.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: SecretStr,
        api_secret: SecretStr,
        transport: Transport,
        scheme: str = "Bearer",
        coordination: Coordination | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transport = transport
        self._scheme = scheme
        self._session = Session(
            api_key,
            api_secret,
            account=f"{base_url} {api_key.get_secret_value()}",
            send=lambda step: self._post(step.request, step.auth),
            coordination=coordination,
            clock=lambda: clock().timestamp(),
        )

    def look(self, uids: Collection[str], options: Collection[Detail] = EVERYTHING) -> dict[str, DeviceLook]:
        """Ask what is true of up to 100 devices (``/device/info/get``); who is unknown there is missing here."""
        with _checked(DeviceInfoGet, uids):
            request = DeviceInfoGet(rot_public_uids=tuple(uids), options=tuple(options))
        looks = read_device_info(self._call(request).json())
        return {uid: looks[uid] for uid in request.rot_public_uids or () if uid in looks}

    def rotate_e2e_keys(self, uids: Collection[str], policy: RotationPolicy) -> str:
        """Set the rotation policy of up to 100 devices (``/e2e/key/rotate``) and give the answer's text."""
        with _checked(KeyRotate, uids):
            request = KeyRotate(rot_public_uids=tuple(uids), type=policy.type, days=policy.days)
        return self._call(request).message

    def renew_certificates(self, uids: Collection[str], ca_name: str, validity_days: int) -> str:
        """Ask for new certificates of up to 100 devices (``/ztp/devicecertificate/renew``).

        Raises:
            Busy: an earlier certificate update of a device is still under way; come back in hours.
        """
        with _checked(CertificateRenew, uids):
            request = CertificateRenew(ca_name=ca_name, validity_days=validity_days, rot_public_uids=tuple(uids))
        return self._call(request).message

    def list_devices(self, which: DeviceFilter = DeviceFilter.ALL) -> Iterator[str]:
        """Walk through the account's devices (``/device/list/get``); a device that moves between pages comes once."""
        seen: set[str] = set()
        met, number = 0, 1
        while True:
            document = self._call(DeviceListGet(filter=which, page_number=number)).json()
            page = read_uids(document)
            fresh = [uid for uid in dict.fromkeys(page) if uid not in seen]
            yield from fresh
            seen.update(fresh)
            met, number = met + len(page), number + 1
            total = read_total(document)
            if not fresh or (total is not None and met >= total):
                return

    def notices(self, uids: Collection[str], since: datetime, until: datetime) -> Iterator[list[dict[str, Any] | None]]:
        """Walk through the notices about up to 100 devices (``/notification/get``), page by page.

        Each is written as the webhook would have sent it; None stands for one that makes no sense. The period has an
        end, so that what comes meanwhile does not move the pages.
        """
        with _checked(NotificationGet, uids):
            first = NotificationGet(
                rot_public_uids=tuple(uids), from_date=_with_offset(since), to_date=_with_offset(until)
            )
        return self._pages(first, read_notices)

    def root_cas(self) -> list[AuthorityLook]:
        """Give the account's root CAs (``/ztp/rootca/get``)."""
        return [look for page in self._pages(RootCaGet(), read_authorities) for look in page]

    def clones(self, uids: Collection[str], since: datetime) -> list[Suspect]:
        """Ask which of up to 100 devices were found to be cloned (``/device/clone/get``)."""
        with _checked(CloneGet, uids):
            first = CloneGet(rot_public_uids=tuple(uids), from_date=_with_offset(since))
        pages = self._pages(first, lambda document: read_suspects(document, "ClonedEvents"))
        return [suspect for page in pages for suspect in page]

    def suspects(self, uids: Collection[str]) -> list[Suspect]:
        """Ask which of up to 100 devices u-blox has a doubt about (``/device/suspicious/get``)."""
        with _checked(SuspiciousGet, uids):
            first = SuspiciousGet(rot_public_uids=tuple(uids))
        pages = self._pages(first, lambda document: read_suspects(document, "SuspiciousDevices"))
        return [suspect for page in pages for suspect in page]

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def _pages(self, first: UbloxRequest, read: Callable[[object], list[T]]) -> Iterator[list[T]]:
        """Ask page by page until one is empty, or as many came as there are; a page is at most 100 long."""
        met, number = 0, 1
        while True:
            document = self._call(first.model_copy(update={"page_number": number})).json()
            page = read(document)
            yield page
            met, number = met + len(page), number + 1
            total = read_total(document)
            if not page or (total is not None and met >= total):
                return

    def create_webhook(self, url: str, *, token: SecretStr, event_type: EventType) -> None:
        """Register a URL of ours for one type of notification (``/notification/webhook/create``)."""
        with _checked(WebhookCreate):
            request = WebhookCreate(url=url, token=token, type=event_type)
        self._call(request)

    def change_webhook_token(self, url: str, *, token: SecretStr) -> None:
        """Have another token sent to a URL, for every type registered with it (``/notification/webhook/update``)."""
        with _checked(WebhookUpdate):
            request = WebhookUpdate(url=url, token=token)
        self._call(request)

    def delete_webhook(self, url: str) -> None:
        """End every registration of a URL (``/notification/webhook/delete``)."""
        with _checked(WebhookDelete):
            request = WebhookDelete(url=url)
        self._call(request)

    def list_webhooks(self) -> list[WebhookLook]:
        """Give the registered webhooks (``/notification/webhook/get``)."""
        return read_webhooks(self._call(WebhookGet()).json())

    def _call(self, request: UbloxRequest) -> Answer:
        token = self._session.token()
        answer = self._post(request, token)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            token = self._session.replace(token)
            answer = self._post(request, token)
            if answer.status == HTTPStatus.UNAUTHORIZED:
                self._session.in_vain(token)
        trouble = fault(answer)
        if trouble is not None:
            raise trouble
        return answer

    def _post(self, request: UbloxRequest, auth: str | None) -> Answer:
        headers = {} if auth is None else {"Authorization": f"{self._scheme} {auth}".strip()}
        return self._transport.request(
            "POST", request.path, body=request.body(), headers=headers, conceal=request.concealed()
        )


def _with_offset(moment: datetime) -> str:
    """A time as the samples of FromDate and ToDate write it, 2020-02-01T00:00:00+00:00."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


@contextmanager
def _checked(request: type[UbloxRequest], uids: Collection[str] = ()) -> Iterator[None]:
    """Turn a request that the document forbids into our own fault, before anything is sent."""
    try:
        if len(uids) > BATCH:
            raise OurFault(
                f"{request.path} takes at most {BATCH} devices, not {len(uids)}", call=request.path, sent=False
            )
        yield
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise OurFault(f"{request.path} would be wrong: {faults}", call=request.path, sent=False) from None
