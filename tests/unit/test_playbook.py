import dataclasses
import threading
from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import EventType, FoundType, Notification
from schemas.jobs import NewJob
from schemas.limits import Approval, Budget, Limits
from schemas.playbook import Decision, DeviceWork
from services.playbook import default_text
from tests.unit.playbooks import DEVICE, event, faults_of, load, one_rule, playbook

ROTATE: Final = {"type": "AUTOMATIC", "days": 7, "even_if_set": False}
ROTATE_AGAIN: Final = {**ROTATE, "even_if_set": True}
NO_FLEET: Final = (
    "rules configure-taps-of-new-device, rotate-mobile-keys-of-new-device, register-tokens-of-new-device:"
    " the inventory has no sites"
)
SHIPPED: Final = load(default_text())
CA: Final = {"CertificateAuthorityName": "ca.example"}
APPROVED_BY_OPERATOR: Final = Limits(approval=Approval(role="operator"))
RENEWAL: Final = "ublox.renew_certificate"


def pairing(state: str) -> dict[str, Any]:
    """The properties of a device that may, or may not, pair keys with its host."""
    return {"CurrentProperties": {"Authorizations": [{"Name": "LocalC2CKeyPairing", "State": state}]}}


def job(operation: str, parameters: Mapping[str, Any], *, rule: str, unless_under_way: bool = False) -> NewJob:
    return NewJob(
        operation=operation, target=DEVICE, parameters=parameters, rule=rule, unless_under_way=unless_under_way
    )


ROTATE_NEW = Decision(
    jobs=(job("ublox.rotate_e2e_key", ROTATE, rule="rotate-key-of-new-device"),),
    verdict=f"rule rotate-key-of-new-device: ublox.rotate_e2e_key on {DEVICE}; {NO_FLEET}",
)


def renewal(rule: str, when: str) -> Decision:
    wish = job("ublox.renew_certificate", {"validity_days": 365, "when": when}, rule=rule, unless_under_way=True)
    return Decision(jobs=(wish,), verdict=f"rule {rule}: ublox.renew_certificate on {DEVICE}")


def contained(rule: str) -> tuple[NewJob, ...]:
    wishes = (("ublox.revoke_certificate", {"after_revocation": False}), ("ublox.set_whitelist", {"listed": False}))
    return tuple(
        dataclasses.replace(job(name, given, rule=rule, unless_under_way=True), limits=APPROVED_BY_OPERATOR)
        for name, given in wishes
    )


def in_words(rule: str) -> str:
    return "; ".join(f"rule {rule}: {one.operation} on {DEVICE}" for one in contained(rule))


def new_root_ca(*alerts: str, more: str = "") -> Decision:
    wish = NewJob(
        operation="ublox.roll_root_ca",
        target="rootca:ca.example",
        parameters={"new_ca": None},
        rule="roll-expiring-root-ca",
        unless_under_way=True,
        limits=Limits(approval=Approval(role="admin")),
    )
    verdict = f"rule roll-expiring-root-ca: ublox.roll_root_ca on rootca:ca.example{more}"
    return Decision(jobs=(wish,), alerts=alerts, verdict=verdict)


RENEWED = renewal("renew-expiring-certificate", "now")
ROTATE_BROKEN = Decision(
    jobs=(job("ublox.rotate_e2e_key", ROTATE_AGAIN, rule="rotate-invalid-key-set", unless_under_way=True),),
    verdict=f"rule rotate-invalid-key-set: ublox.rotate_e2e_key on {DEVICE}",
)
BLACKLISTED = Decision(
    jobs=contained("contain-blacklisted-device"),
    alerts=("A blacklisted device has bootstrapped; it gets no keys, and its containment waits for approval.",),
    verdict=f"rule blacklisted-device: alert; {in_words('contain-blacklisted-device')}",
)
CLONED = Decision(jobs=contained("contain-cloned-device"), verdict=in_words("contain-cloned-device"))
NEW_CERTIFICATE = ("ublox.renew_certificate", "ublox.replace_certificate", "ublox.transfer_root_ca")
CONFIRMED = Decision(
    confirms=NEW_CERTIFICATE,
    verdict=f"rule certificate-renewed: confirms {', '.join(NEW_CERTIFICATE)} on {DEVICE}",
)
CHANGES = (
    "ublox.set_provisioning",
    "ublox.rotate_e2e_key",
    "ublox.replace_certificate",
    "ublox.transfer_root_ca",
    "ublox.delete_certificate",
)
CHANGED = Decision(confirms=CHANGES, verdict=f"rule properties-changed: confirms {', '.join(CHANGES)} on {DEVICE}")
ROOT_CA_SOON = "A root CA is about to expire: see that its successor is approved and its devices are moved."
NO_MATCH = Decision(verdict="no rule matches")


@pytest.mark.parametrize(
    ("notification", "decision"),
    [
        (event(EventType.BOOTSTRAP, {"IsBlacklisted": False, "IMEI": "862618583984360"}), ROTATE_NEW),
        (event(EventType.BOOTSTRAP, {"IsBlacklisted": True}), BLACKLISTED),
        (event(EventType.CERTIFICATE_EXPIRATION, {"DaysToExpiration": 60}), RENEWED),
        (event(EventType.CERTIFICATE_EXPIRATION, {"DaysToExpiration": 8}), RENEWED),
        (event(EventType.CERTIFICATE_EXPIRATION), RENEWED),
        (event(EventType.CERTIFICATE_EXPIRATION, {"DaysToExpiration": 7}), RENEWED),
        (event(FoundType.CLONED), CLONED),
        (event(FoundType.SUSPICIOUS, {"Reason": "x"}), CLONED),
        (event(EventType.ERRORS, {"Error": "Invalid KeySetId for device"}), ROTATE_BROKEN),
        (event(EventType.ERRORS, {"Error": "the KEY SET is unknown"}), ROTATE_BROKEN),
        (event(EventType.ERRORS, {"Error": "no subscription"}), NO_MATCH),
        (event(EventType.ERRORS, {"Error": 7}), NO_MATCH),
        (event(EventType.CERTIFICATE_RENEWAL, {"CertificateSerialNumber": "7306"}), CONFIRMED),
        (event(EventType.ROOTCA_EXPIRATION, {**CA, "DaysToExpiration": 180}, device=None), new_root_ca()),
        (
            event(EventType.ROOTCA_EXPIRATION, {**CA, "DaysToExpiration": 30}, device=None),
            new_root_ca(ROOT_CA_SOON, more="; rule root-ca-expiring: alert"),
        ),
        (event(EventType.PROPERTIES_CHANGE, {"CurrentProperties": {}}), CHANGED),
        (event(EventType.PROPERTIES_CHANGE, pairing("DISABLED")), CHANGED),
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
    assert len(decision.notes) == 6


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
    matched = {view.name for view in SHIPPED.explain(notification) if view.matched}
    rules = [rule for rule in SHIPPED.document.rules if rule.name in matched and rule.targets in {"device", "event.ca"}]
    asked = [rule for rule in rules if device or rule.alert]
    expected = sum(len(rule.do or rule.confirm or "!") for rule in asked if rule.targets == "device")
    assert decision.verdict
    assert len([*decision.jobs, *decision.alerts, *decision.confirms]) == expected


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
            ("ublox.renew_certificate", {"validity_days": 365, "when": "now"}),
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
    ("trigger", "kind"),
    [('schedule = "0 2 * * *"', "schedule"), ("manual = true", "manual"), ('manual = "a-leak"', "manual")],
    ids=str,
)
def test_a_rule_with_another_trigger_waits_for_it(trigger: str, kind: str) -> None:
    loaded = load(playbook(one_rule('[[rules.do]]\noperation = "ublox.rotate_e2e_key"', trigger=trigger)))
    assert loaded.document.rules[0].on.kind == kind
    assert loaded.explain(event(EventType.BOOTSTRAP))[0].why == f"it waits for its {kind} trigger"


def test_every_rule_says_how_it_saw_the_event() -> None:
    seen = {view.name: (view.matched, view.why) for view in SHIPPED.explain(event(EventType.ERRORS, {"Error": "x"}))}
    assert seen["rotate-invalid-key-set"] == (False, "its condition does not hold")
    assert seen["root-ca-expiring"] == (False, "it reacts to ROOTCA_EXPIRATION_EVENT")
    assert seen["certificate-compromised"] == (False, "it waits for its manual trigger")
    views = {view.name: view for view in SHIPPED.explain(event(EventType.BOOTSTRAP, {"IsBlacklisted": False}))}
    assert views["rotate-key-of-new-device"].why == "its condition holds"
    renewed = {view.name: view for view in SHIPPED.explain(event(EventType.CERTIFICATE_RENEWAL))}
    assert renewed["certificate-renewed"].why == "the type is its trigger and it has no condition"
    assert SHIPPED.explain(event(EventType.BOOTSTRAP))[0].why == "the condition failed: there is no IsBlacklisted"


@pytest.mark.parametrize(
    ("work", "alarmed"),
    [
        (DeviceWork(), False),
        (DeviceWork(under_way=(RENEWAL,)), False),  # it waits for its time
        (DeviceWork(under_way=(RENEWAL,), asked=(RENEWAL,)), True),
        (DeviceWork(under_way=(RENEWAL,), held_up=(RENEWAL,)), True),
        (DeviceWork(parked=("ublox.rotate_e2e_key", RENEWAL)), True),
        (DeviceWork(asked=("ublox.rotate_e2e_key",)), False),
    ],
)
def test_a_renewal_that_was_begun_and_not_confirmed_is_an_alarm_a_week_before_the_end(
    work: DeviceWork, *, alarmed: bool
) -> None:
    notice = event(EventType.CERTIFICATE_EXPIRATION, {"DaysToExpiration": 7})
    decision = SHIPPED.decide(notice, work_of=lambda _device: work)
    assert bool(decision.alerts) is alarmed
    assert [wish.parameters["when"] for wish in decision.jobs] == ["now"]


@pytest.mark.parametrize(
    ("enabling", "alarmed"), [((), True), (("LocalDPR",), True), (("LocalDPR", "LocalC2CKeyPairing"), False)]
)
def test_key_pairing_that_nobody_has_asked_for_is_an_alarm(enabling: tuple[str, ...], *, alarmed: bool) -> None:
    provision = ("ublox.set_provisioning",)
    work = DeviceWork(under_way=provision, asked=provision, enabling=enabling)
    decision = SHIPPED.decide(event(EventType.PROPERTIES_CHANGE, pairing("ENABLED")), work_of=lambda _device: work)
    assert bool(decision.alerts) is alarmed
    assert decision.confirms == CHANGES


def test_what_is_at_hand_is_read_only_where_a_condition_asks_for_it() -> None:
    def unread(_device: str) -> DeviceWork:
        raise AssertionError

    SHIPPED.decide(event(EventType.BOOTSTRAP, {"IsBlacklisted": False}), work_of=unread)
    with pytest.raises(AssertionError):
        SHIPPED.decide(event(EventType.CERTIFICATE_EXPIRATION), work_of=unread)


@pytest.mark.parametrize("name", [None, "", "x" * 46, "a b", 7])
def test_a_root_ca_that_cannot_be_named_leaves_a_note(name: object) -> None:
    decision = SHIPPED.decide(event(EventType.ROOTCA_EXPIRATION, {"CertificateAuthorityName": name}, device=None))
    assert decision.jobs == ()
    assert decision.notes == ("rule roll-expiring-root-ca: the event names no root CA, so there is nothing to work on",)


def test_a_rule_that_may_be_billed_for_every_notice_is_warned_of() -> None:
    step = '[[rules.do]]\noperation = "ublox.renew_certificate"'
    loaded = load(playbook(one_rule(step, trigger='event = "DEVICE_CERTIFICATE_EXPIRATION_EVENT"')))
    assert len(loaded.warnings) == 1
    assert SHIPPED.warnings == ()


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
