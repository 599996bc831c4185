import threading
from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import EventType, Notification
from schemas.jobs import NewJob
from schemas.limits import Budget, Limits
from schemas.playbook import Decision
from services.playbook import default_text
from tests.unit.playbooks import DEVICE, event, faults_of, load, one_rule, playbook

ROTATE: Final = {"type": "AUTOMATIC", "days": 7, "even_if_set": False}
ROTATE_AGAIN: Final = {**ROTATE, "even_if_set": True}
NO_FLEET: Final = (
    "rules configure-taps-of-new-device, rotate-mobile-keys-of-new-device, register-tokens-of-new-device:"
    " the inventory has no sites"
)
SHIPPED: Final = load(default_text())


def job(operation: str, parameters: Mapping[str, Any], *, rule: str, unless_under_way: bool = False) -> NewJob:
    return NewJob(
        operation=operation, target=DEVICE, parameters=parameters, rule=rule, unless_under_way=unless_under_way
    )


ROTATE_NEW = Decision(
    jobs=(job("ublox.rotate_e2e_key", ROTATE, rule="rotate-key-of-new-device"),),
    verdict=f"rule rotate-key-of-new-device: ublox.rotate_e2e_key on {DEVICE}; {NO_FLEET}",
)
RENEW = Decision(
    jobs=(
        job(
            "ublox.renew_certificate", {"validity_days": 365}, rule="renew-expiring-certificate", unless_under_way=True
        ),
    ),
    verdict=f"rule renew-expiring-certificate: ublox.renew_certificate on {DEVICE}",
)
ROTATE_BROKEN = Decision(
    jobs=(job("ublox.rotate_e2e_key", ROTATE_AGAIN, rule="rotate-invalid-key-set", unless_under_way=True),),
    verdict=f"rule rotate-invalid-key-set: ublox.rotate_e2e_key on {DEVICE}",
)
BLACKLISTED = Decision(
    alerts=("A blacklisted device has bootstrapped; nothing was done for it.",),
    verdict="rule blacklisted-device: alert",
)
CONFIRMED = Decision(
    confirms=("ublox.renew_certificate",),
    verdict=f"rule certificate-renewed: confirms ublox.renew_certificate on {DEVICE}",
)
ROOT_CA = Decision(
    alerts=("A root CA is about to expire: create a new one and transfer its devices.",),
    verdict="rule root-ca-expiring: alert",
)
NO_MATCH = Decision(verdict="no rule matches")


@pytest.mark.parametrize(
    ("notification", "decision"),
    [
        (event(EventType.BOOTSTRAP, {"IsBlacklisted": False, "IMEI": "862618583984360"}), ROTATE_NEW),
        (event(EventType.BOOTSTRAP, {"IsBlacklisted": True}), BLACKLISTED),
        (event(EventType.CERTIFICATE_EXPIRATION, {"DaysToExpiration": 60}), RENEW),
        (event(EventType.CERTIFICATE_EXPIRATION), RENEW),
        (event(EventType.ERRORS, {"Error": "Invalid KeySetId for device"}), ROTATE_BROKEN),
        (event(EventType.ERRORS, {"Error": "the KEY SET is unknown"}), ROTATE_BROKEN),
        (event(EventType.ERRORS, {"Error": "no subscription"}), NO_MATCH),
        (event(EventType.ERRORS, {"Error": 7}), NO_MATCH),
        (event(EventType.CERTIFICATE_RENEWAL, {"CertificateSerialNumber": "7306"}), CONFIRMED),
        (event(EventType.ROOTCA_EXPIRATION, {"DaysToExpiration": 60}, device=None), ROOT_CA),
        (
            event(EventType.PROPERTIES_CHANGE, {"CurrentProperties": {}}),
            Decision(verdict="no rule reacts to 'DEVICE_PROPERTIES_CHANGE_EVENT'"),
        ),
        (event("SOMETHING_NEW"), Decision(verdict="no rule reacts to 'SOMETHING_NEW'")),
    ],
)
def test_the_shipped_playbook_decides(notification: Notification, decision: Decision) -> None:
    assert load(default_text()).decide(notification) == decision


@pytest.mark.parametrize(
    ("payload", "note"),
    [
        ({}, "the condition failed: there is no IsBlacklisted"),
        ({"IsBlacklisted": None}, "the condition "),
        ({"IsBlacklisted": "false"}, "the condition "),
        ({"IsBlacklisted": "x" * 100_000}, "the event is too large for a condition: more than 1000 values"),
        ({"IsBlacklisted": [0] * 2000}, "the event is too large for a condition: more than 1000 values"),
        ({"IsBlacklisted": object()}, "the event cannot be shown to a condition: "),
        ({"IsBlacklisted": "\ud800"}, "the event cannot be shown to a condition: "),
    ],
)
def test_a_condition_that_cannot_be_told_does_not_hold_and_leaves_a_note(payload: dict[str, Any], note: str) -> None:
    decision = load(default_text()).decide(event(EventType.BOOTSTRAP, payload))
    assert (decision.jobs, decision.alerts, decision.verdict) == ((), (), "no rule matches")
    assert decision.notes[0].startswith(f"rule rotate-key-of-new-device: {note}")
    assert len(decision.notes) == 5


@pytest.mark.parametrize("days", [True, "60", 6.5, None])
def test_days_that_are_no_whole_number_are_null(days: object) -> None:
    loaded = load(playbook(one_rule("when = 'event.days_to_expiration == null'\nalert = 'seen'")))
    assert loaded.decide(event(EventType.BOOTSTRAP, {"DaysToExpiration": days})).alerts == ("seen",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["IsBlacklisted", "Error", "DaysToExpiration", "Other"])


@given(st.sampled_from([*EventType, "OTHER"]), st.dictionaries(KEYS, JSON), st.sampled_from([DEVICE, None]))
def test_whatever_an_event_holds_there_is_a_decision(kind: str, payload: dict[str, Any], device: str | None) -> None:
    notification = event(kind, payload, device=device)
    decision = SHIPPED.decide(notification)
    matched = [view for view in SHIPPED.explain(notification) if view.matched and "taps" not in view.name]
    acts = [*decision.jobs, *decision.alerts, *decision.confirms]
    assert decision.verdict
    assert len(acts) == (len(matched) if device else len(decision.alerts))


def test_the_whole_payload_and_single_fields_may_be_read_by_rules_of_one_type() -> None:
    text = playbook(
        one_rule("when = \"event.payload.a == 1\"\nalert = 'a'", name="a"),
        one_rule("when = \"event.payload['b'] == 2\"\nalert = 'b'", name="b"),
        one_rule("when = \"event.device != null\"\nalert = 'c'", name="c"),
        one_rule("when = \"true\"\nalert = 'd'", name="d", trigger='event = "DEVICE_ERRORS_EVENT"'),
    )
    assert load(text).decide(event(EventType.BOOTSTRAP, {"a": 1, "b": 2, "c": 3})).alerts == ("a", "b", "c")
    assert load(text).decide(event(EventType.ERRORS)).alerts == ("d",)


def test_a_rule_may_react_to_several_types_and_ask_for_several_operations() -> None:
    types = '["DEVICE_BOOTSTRAP_EVENT", "DEVICE_ERRORS_EVENT", "DEVICE_ERRORS_EVENT"]'
    steps = 'do = [{ operation = "ublox.rotate_e2e_key" }, { operation = "ublox.renew_certificate" }]'
    loaded = load(playbook(one_rule(steps, trigger=f"event = {types}")))
    for kind in (EventType.BOOTSTRAP, EventType.ERRORS):
        decision = loaded.decide(event(kind))
        assert [(job.operation, job.parameters) for job in decision.jobs] == [
            ("ublox.rotate_e2e_key", ROTATE),
            ("ublox.renew_certificate", {"validity_days": 365}),
        ]
        assert decision.verdict.count(DEVICE) == 2


def test_two_rules_with_the_same_wish_make_one_job_and_a_note() -> None:
    step = '[[rules.do]]\noperation = "ublox.rotate_e2e_key"'
    other = f"{step}\nwith = {{ days = 3 }}"
    rules = (one_rule(step, name="a"), one_rule(step, name="b"), one_rule(other, name="c"))
    decision = load(playbook(*rules)).decide(event(EventType.BOOTSTRAP))
    assert [job.rule for job in decision.jobs] == ["a", "c"]
    assert decision.notes == ("rule b: rule a already asks for the same ublox.rotate_e2e_key",)


def test_a_job_cannot_change_the_parameters_of_the_next() -> None:
    first, second = (SHIPPED.decide(event(EventType.CERTIFICATE_EXPIRATION)).jobs[0] for _ in range(2))
    assert first.parameters is not second.parameters


def test_a_disabled_rule_does_nothing_but_is_checked() -> None:
    body = 'enabled = false\n[[rules.do]]\noperation = "ublox.rotate_e2e_key"'
    loaded = load(playbook(one_rule(body)))
    assert loaded.decide(event(EventType.BOOTSTRAP)).jobs == ()
    assert loaded.explain(event(EventType.BOOTSTRAP))[0].why == "it is disabled"
    assert "did you mean" in faults_of(playbook(one_rule(body.replace("e2e", "e2"))))


def test_work_needs_a_device() -> None:
    decision = SHIPPED.decide(event(EventType.CERTIFICATE_EXPIRATION, device=None))
    assert decision.jobs == ()
    assert decision.notes == (
        "rule renew-expiring-certificate: the event names no device, so there is nothing to work on",
    )


@pytest.mark.parametrize(
    ("trigger", "kind"), [('schedule = "0 2 * * *"', "schedule"), ("manual = true", "manual")], ids=str
)
def test_a_rule_with_another_trigger_waits_for_it(trigger: str, kind: str) -> None:
    loaded = load(playbook(one_rule('[[rules.do]]\noperation = "ublox.rotate_e2e_key"', trigger=trigger)))
    assert loaded.document.rules[0].on.kind == kind
    assert loaded.explain(event(EventType.BOOTSTRAP))[0].why == f"it waits for its {kind} trigger"


def test_every_rule_says_how_it_saw_the_event() -> None:
    seen = {view.name: (view.matched, view.why) for view in SHIPPED.explain(event(EventType.ERRORS, {"Error": "x"}))}
    assert seen["rotate-invalid-key-set"] == (False, "its condition does not hold")
    assert seen["root-ca-expiring"] == (False, "it reacts to ROOTCA_EXPIRATION_EVENT")
    views = {view.name: view for view in SHIPPED.explain(event(EventType.BOOTSTRAP, {"IsBlacklisted": False}))}
    assert views["rotate-key-of-new-device"].why == "its condition holds"
    assert (
        SHIPPED.explain(event(EventType.CERTIFICATE_RENEWAL))[6].why
        == "the type is its trigger and it has no condition"
    )
    assert SHIPPED.explain(event(EventType.BOOTSTRAP))[0].why == "the condition failed: there is no IsBlacklisted"


def test_threads_may_share_a_playbook() -> None:
    wrong: list[Decision] = []

    def work() -> None:
        decisions = (SHIPPED.decide(event(EventType.BOOTSTRAP, {"IsBlacklisted": False})) for _ in range(200))
        wrong.extend(decision for decision in decisions if decision != ROTATE_NEW)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


BUDGETS = """
version = 1

[[rules]]
name = "loose"
on = { event = "DEVICE_CERTIFICATE_EXPIRATION_EVENT" }
budget = { jobs = 5, per = "hour" }
do = [{ operation = "ublox.renew_certificate" }]

[[rules]]
name = "strict"
enabled = true
on = { schedule = "0 3 * * *" }
budget = { jobs = 10, per = "day" }
window = { opens = 02:00:00, closes = 05:00:00, timezone = "UTC" }
do = [{ operation = "ublox.renew_certificate" }]

[[rules]]
name = "off"
enabled = false
on = { event = "DEVICE_CERTIFICATE_EXPIRATION_EVENT" }
budget = { jobs = 1, per = "month" }
do = [{ operation = "ublox.renew_certificate" }]

[[rules]]
name = "bare"
on = { event = "DEVICE_BOOTSTRAP_EVENT" }
do = [{ operation = "ublox.renew_certificate" }, { operation = "ublox.rotate_e2e_key" }]
"""


def test_the_strictest_budget_of_an_operation_binds_the_jobs_of_every_rule() -> None:
    loaded = load(BUDGETS)
    strictest = Limits(budget=Budget(jobs=10, per="day"))
    for kind in (EventType.CERTIFICATE_EXPIRATION, EventType.BOOTSTRAP):
        limits = {one.operation: one.limits for one in loaded.decide(event(kind)).jobs}
        assert limits.pop("ublox.renew_certificate") == strictest
        assert set(limits.values()) <= {None}, "no rule sets a budget for it"
    own = loaded.limits_of(loaded.document.rules[1], "ublox.renew_certificate")
    assert own is not None
    assert (own.budget, own.window is None) == (strictest.budget, False)
