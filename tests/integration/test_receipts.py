"""What a sender can learn of a delivery, from its first moment to its verified work."""

import time
from collections.abc import Iterator

import httpx
import pytest
from structlog.testing import capture_logs

from infra.ledger import Plan, Settlement
from schemas.jobs import Job, NewJob, State
from services.web.hooks import MURMUR_SECONDS
from services.wiring import now
from tests.support.site import SECOND_TOKEN, UID, Receiver, new_database, notification, serving

OPERATION = "ublox.rotate_e2e_key"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with serving(new_database(request, tmp_path_factory)) as receiver:
        yield receiver


def claimed(receiver: Receiver) -> Job:
    from datetime import timedelta

    (job,) = receiver.ledger.work.claim(OPERATION, worker="w", now=now(), lease=timedelta(seconds=30), limit=1)
    return job


def test_a_receipt_tells_the_whole_way_from_delivery_to_verified_work(receiver: Receiver) -> None:
    receipt = receiver.post(notification()).receipt

    def shown() -> dict[str, object]:
        answer = receiver.get(f"/receipts/{receipt}")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        document: dict[str, object] = answer.document
        return document

    (row,) = receiver.rows()
    fresh = shown()
    assert str(fresh.pop("received_at")).endswith("+00:00")
    assert fresh == {
        "receipt": receipt,
        "event_type": "DEVICE_BOOTSTRAP_EVENT",
        "device": UID,
        "state": "new",
        "verdict": None,
        "jobs": [],
    }
    wish = NewJob(operation=OPERATION, target=UID, parameters={"type": "AUTOMATIC", "days": 7}, rule="r")
    receiver.ledger.planning.store([Plan(event_id=row.id, verdict="rule r", jobs=[wish])], now())
    planned = shown()
    assert (planned["state"], planned["verdict"]) == ("planned", "rule r")
    job = {"id": 1, "operation": OPERATION, "target": UID, "state": "due", "reason": "waits for a worker"}
    assert planned["jobs"] == [job]
    running = claimed(receiver)
    assert shown()["jobs"] == [job | {"state": "running", "reason": "a worker has it"}]
    done = Settlement(job=running, state=State.SUCCEEDED, reason="looked again", not_before=now())
    receiver.ledger.work.settle([done], now())
    assert shown()["jobs"] == [job | {"state": "succeeded", "reason": "looked again"}]


def test_the_location_of_an_answer_leads_to_its_receipt(receiver: Receiver) -> None:
    answer = receiver.post(notification(Timestamp="2021-01-01"))
    page = receiver.get(answer.headers["location"])
    assert (page.status, page.document["receipt"]) == (200, answer.receipt)


def test_what_was_not_understood_has_a_receipt_too(receiver: Receiver) -> None:
    refused = receiver.post(b"{")
    page = receiver.get(f"/receipts/{refused.receipt}").document
    assert (page["state"], page["verdict"]) == ("malformed", refused.document["detail"])
    assert (page["event_type"], page["device"], page["jobs"]) == (None, None, [])


def test_a_receipt_needs_a_token_of_the_receiver(receiver: Receiver) -> None:
    path = f"/receipts/{receiver.post(notification(Timestamp='2021-01-02')).receipt}"
    assert receiver.get(path, Authorization=SECOND_TOKEN).status == 200
    for wrong in (None, "", "Bearer wrong-token-0123456789"):
        answer = receiver.get(path, Authorization=wrong)
        assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")
        assert receiver.get("/receipts/evt_" + "0" * 32, Authorization=wrong).status == 401


@pytest.mark.parametrize(
    "name",
    ["evt_" + "0" * 32, "evt_", "x", "%00", "evt_" + "0" * 31 + "%00", "%FF", "%ED%A0%80", "'%20OR%201=1", "a" * 5000],
)
def test_a_receipt_that_was_never_given_is_not_found(receiver: Receiver, name: str) -> None:
    answer = receiver.get(f"/receipts/{name}")
    assert (answer.status, answer.document["title"]) == (404, "No such receipt")


def test_a_receipt_can_only_be_read(receiver: Receiver) -> None:
    path = f"/receipts/{receiver.post(notification(Timestamp='2021-01-03')).receipt}"
    for method in ("POST", "PUT", "DELETE"):
        assert receiver.post(method=method, path=path).status == 405
    head = httpx.head(f"{receiver.address.url}{path}", headers={"Authorization": SECOND_TOKEN}, trust_env=False)
    assert (head.status_code, head.content) == (200, b"")


def test_no_secret_and_no_body_stands_in_the_log(receiver: Receiver) -> None:
    time.sleep(2 * MURMUR_SECONDS)  # what other stories were refused has had its line
    with capture_logs() as logs:
        receiver.post(notification(EventType=None, Payload={"IMEI": "862618583984360"}))
        time.sleep(2 * MURMUR_SECONDS)
        receiver.post(b"{}", headers={"Authorization": "Bearer guessed-0123456789"})
        receiver.post(b"{}", headers={"Authorization": "Bearer guessed-0123456789"})  # too soon for a line of its own
    assert [line["status"] for line in logs] == [400, 401]
    assert "guessed" not in str(logs)
    assert "862618583984360" not in str(logs)
