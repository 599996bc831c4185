from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from schemas.errors import Busy, OurFault, Refused, TryAgain, UpstreamError
from schemas.events import EventType
from schemas.ublox import DeviceFilter, RotationPolicy, RotationType, WebhookLook
from tests.conftest import Clock
from tests.integration.ublox_account import UID, Account, Service, ublox_account
from tests.integration.upstreams import Call, Reply, Upstream

OTHER = "135700008928c093"
POLICY = RotationPolicy(type=RotationType.AUTOMATIC, days=1)


@pytest.fixture
def account(clock: Clock) -> Iterator[Account]:
    with ublox_account(clock) as made:
        yield made


@pytest.fixture
def upstream(account: Account) -> Upstream:
    return account.upstream


@pytest.fixture
def service(account: Account) -> Service:
    return account.service


def test_verbs_ask_what_the_document_says(upstream: Upstream, service: Service, account: Account) -> None:
    client = account.client()
    assert client.information.look([UID, OTHER]).keys() == {UID}
    service.reply = Reply(body={"Message": "The automatic rotation has been set."})
    assert client.e2e.rotate([UID], POLICY) == "The automatic rotation has been set."
    client.certificates.renew([UID], "example.com", 365)
    client.webhooks.create("https://k.example/h", token=SecretStr("Bearer x"), event_type=EventType.BOOTSTRAP)
    client.webhooks.change_token("https://k.example/h", token=SecretStr("Bearer y"))
    client.webhooks.delete("https://k.example/h")
    assert [(call.path, call.body) for call in upstream.calls[1:]] == [
        ("/device/info/get", {"ROTPublicUIDs": [UID, OTHER], "Options": ["CORE", "PROVISIONING", "ZTP"]}),
        ("/e2e/key/rotate", {"ROTPublicUIDs": [UID], "Type": "AUTOMATIC", "Days": 1}),
        (
            "/ztp/devicecertificate/renew",
            {"CAName": "example.com", "DeviceCertificateValidity": 365, "ROTPublicUIDs": [UID]},
        ),
        (
            "/notification/webhook/create",
            {
                "NotificationURL": "https://k.example/h",
                "AuthorizationToken": "Bearer x",
                "NotificationType": "DEVICE_BOOTSTRAP_EVENT",
            },
        ),
        (
            "/notification/webhook/update",
            {"NotificationURL": "https://k.example/h", "AuthorizationToken": "Bearer y"},
        ),
        ("/notification/webhook/delete", {"NotificationURL": "https://k.example/h"}),
    ]


def test_webhooks_are_listed(service: Service, account: Account) -> None:
    service.reply = Reply(body=[{"NotificationURL": "https://k.example/h", "NotificationType": "X"}])
    assert account.client().webhooks.walk() == [WebhookLook(url="https://k.example/h", type="X")]


def test_a_write_may_be_answered_with_nothing(service: Service, account: Account) -> None:
    service.reply = Reply(body=b"")
    assert account.client().e2e.rotate([UID], POLICY) == ""


@pytest.mark.parametrize("total", [250, 1, None])
def test_every_page_of_devices_is_walked_once(
    upstream: Upstream, service: Service, account: Account, total: int | None
) -> None:
    uids = [f"{number:016x}" for number in range(250)]

    def script(call: Call) -> Reply:
        if call.path != "/device/list/get":
            return service(call)
        assert call.body["Filter"] == "WHITELISTED"
        first = (call.body["PageNumber"] - 1) * 100
        return Reply(body={"ROTPublicUIDs": uids[first : first + 100], "PageSize": 100, "TotalRecords": total})

    upstream.script = script
    devices = list(account.client().devices.walk(DeviceFilter.WHITELISTED))
    assert devices == (uids if total != 1 else uids[:100])
    assert upstream.count("/device/list/get") == {250: 3, 1: 1, None: 4}[total]


def test_a_list_that_ignores_the_page_number_ends(service: Service, account: Account) -> None:
    service.reply = Reply(body={"ROTPublicUIDs": [UID], "TotalRecords": 300})
    assert list(account.client().devices.walk()) == [UID]


def test_the_token_may_go_bare(upstream: Upstream, account: Account) -> None:
    account.client(scheme="").information.look([UID])
    assert (upstream.calls[-1].authorization or "").startswith("e30.")


def test_a_call_without_a_body_is_made_with_the_method_that_was_chosen_for_it(
    upstream: Upstream, account: Account
) -> None:
    client = account.client(by_get=["/apiversion"])
    client.version()
    client.webhooks.walk()
    assert [(call.method, call.path, call.content) for call in upstream.calls[1:]] == [
        ("GET", "/apiversion", b""),
        ("POST", "/notification/webhook/get", b"{}"),
    ]


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Bad Request. Invalid ROTPublicUIDs", Refused),
        (400, "Device certificate update is in progress", Busy),
        (403, "Update is still on-going", Busy),
        (403, "Not Authorized.", OurFault),
        (403, "", OurFault),
        (403, "Quota exceeded", Refused),
        (404, "Not Found", OurFault),
        (410, "", OurFault),
        (409, "", Busy),
        (413, "", Refused),
        (422, "", Refused),
        (302, "", OurFault),
        (405, "", OurFault),
        (429, "", TryAgain),
        (500, "", TryAgain),
    ],
)
def test_the_status_says_what_to_do_next(
    service: Service, account: Account, status: int, message: str, kind: type[UpstreamError]
) -> None:
    service.reply = Reply(status=status, body={"message": message})
    with pytest.raises(UpstreamError) as caught:
        account.client().certificates.renew([UID], "ca", 365)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.call, caught.value.sent) == (status, "/ztp/devicecertificate/renew", True)
    assert message in str(caught.value)
    if status in {404, 410}:
        assert "retired" in str(caught.value)


def test_only_certificate_calls_are_busy_with_an_update(service: Service, account: Account) -> None:
    service.reply = Reply(status=400, body={"message": "in progress"})
    with pytest.raises(Refused):
        account.client().e2e.rotate([UID], POLICY)


def test_a_forbidden_request_is_never_sent(upstream: Upstream, account: Account) -> None:
    client = account.client()
    for ask in (
        lambda: client.information.look([]),
        lambda: client.information.look([UID] * 101),
        lambda: client.certificates.renew(["no-uid"], "ca", 365),
        lambda: client.webhooks.create("http://k.example", token=SecretStr("t0ken"), event_type=EventType.ERRORS),
    ):
        with pytest.raises(OurFault) as caught:
            ask()
        assert caught.value.sent is False
        assert "t0ken" not in str(caught.value)
    assert upstream.calls == []
