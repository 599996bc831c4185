import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import EventType
from schemas.playbook import LIMITS, LOOPS
from services.playbook import default_text
from services.playbook.positions import find_lines, line_of
from tests.unit.playbooks import event, faults_of, load, load_or_faults, one_rule, playbook


@pytest.mark.parametrize(("kind", "operation"), LOOPS, ids=str)
def test_a_rule_that_answers_its_own_work_is_refused(kind: EventType, operation: str) -> None:
    body = f'[[rules.do]]\noperation = "{operation}"'
    text = playbook(one_rule(body, trigger=f'event = ["DEVICE_ERRORS_EVENT", "{kind}"]'))
    assert (
        faults_of(text)
        == f"line 6, rule 1 (one), step 1, operation: {operation} on {kind} is a loop: {LOOPS[kind, operation]}"
    )


@pytest.mark.parametrize("field", LIMITS)
def test_a_limit_of_a_rule_without_jobs_is_refused(field: str) -> None:
    value = {
        "window": '{ opens = 02:00:00, closes = 05:00:00, timezone = "Europe/Paris" }',
        "approval": '{ role = "operator" }',
        "budget": '{ jobs = 100, per = "day" }',
    }[field]
    text = playbook(one_rule(f"alert = 'x'\n{field} = {value}"))
    assert faults_of(text) == f"line 6, rule 1 (one), {field}: limits jobs, and the rule makes none"


@pytest.mark.parametrize(
    ("window", "fault"),
    [
        ('opens = 02:00:00, closes = 02:00:00, timezone = "UTC"', "it opens when it closes, so it can never be met"),
        ('opens = 23:59:30, closes = 00:00:00, timezone = "UTC"', "it is open for less than a minute"),
        ('opens = 02:00:00, closes = 05:00:00, timezone = "Europe/Pariz"', "expected a zone of the IANA database"),
    ],
)
def test_a_window_that_can_never_be_met_is_refused(window: str, fault: str) -> None:
    step = 'operation = "ublox.rotate_e2e_key"'
    text = playbook(one_rule(f"window = {{ {window} }}\ndo = [{{ {step} }}]"))
    assert fault in faults_of(text)


EVERY_FAULT = """\
version = 2
colour = "red"

[[rules]]
name = "Bad Name"
on = { event = "DEVICE_BOOTSTRAP_EVNT" }
when = "evnt.x == 1 && event.foo"

[[rules.do]]
operation = "ublox.rotate_e2e"

[[rules.do]]
operation = "ublox.rotate_e2e_key"
unless_under_way = "yes"
[rules.do.with]
type = "SOMETIMES"
days = 99
dys = 3

[[rules]]
name = "two"
enable = true
[rules.on]
schedule = "hourly"
[rules.window]
opens = 02:00:00

[[rules]]
name = "two"
on = { event = "ROOTCA_EXPIRATION_EVENT" }
targets = "site"
alert = \"\"\"
[[rules]]
name = "not a rule"
\"\"\"
confirm = "nope"

[[rules]]
on = 3
alert = ""
"""
EXPECTED_FAULTS = [
    "line 1, version: expected 1, not 2",
    "line 2, colour: unknown key; expected one of rules, version, not 'colour'",
    "line 5, rule 1 ('Bad Name'), name: expected lower case letters, digits and hyphens, unique, not 'Bad Name'",
    (
        "line 6, rule 1 ('Bad Name'), on.event: expected one of DEVICE_BOOTSTRAP_EVENT,"
        " DEVICE_CERTIFICATE_EXPIRATION_EVENT, DEVICE_CERTIFICATE_RENEWAL_EVENT, DEVICE_CLONED,"
        " DEVICE_ERRORS_EVENT, DEVICE_PROPERTIES_CHANGE_EVENT, DEVICE_SUSPICIOUS, ROOTCA_EXPIRATION_EVENT,"
        " not 'DEVICE_BOOTSTRAP_EVNT' (did you mean 'DEVICE_BOOTSTRAP_EVENT'?)"
    ),
    (
        "line 7, rule 1 ('Bad Name'), when: event has no foo; expected one of type, device, ca, payload,"
        " days_to_expiration, text (what the sender gave is in event.payload)"
    ),
    (
        "line 7, rule 1 ('Bad Name'), when: unknown variable evnt; a condition sees only event, with type, device, ca,"
        " payload, days_to_expiration, text, and device, with under_way, asked, held_up, parked, enabling"
    ),
    (
        "line 10, rule 1 ('Bad Name'), step 1, operation: expected one of centagate.register_token,"
        " tap.reconfigure, test.drift, twon.rotate_mobile_key, ublox.delete_certificate, ublox.renew_certificate,"
        " ublox.replace_certificate, ublox.revoke_certificate, ublox.roll_root_ca, ublox.rotate_e2e_key,"
        " ublox.set_provisioning, ublox.set_whitelist, ublox.transfer_root_ca,"
        " not 'ublox.rotate_e2e'"
        " (did you mean 'ublox.rotate_e2e_key'?)"
    ),
    "line 14, rule 1 ('Bad Name'), step 2, unless_under_way: expected true or false, not 'yes'",
    "line 16, rule 1 ('Bad Name'), step 2, with.type: expected 'AUTOMATIC' or 'CONTINUOUS', not 'SOMETIMES'",
    "line 17, rule 1 ('Bad Name'), step 2, with.days: expected at most 30, not 99",
    (
        "line 18, rule 1 ('Bad Name'), step 2, with.dys: unknown key; expected one of days, even_if_set, type, "
        "not 'dys' (did you mean 'days'?)"
    ),
    "line 20, rule 2 (two): expected exactly one of do, alert, confirm, not none",
    (
        "line 22, rule 2 (two), enable: unknown key; expected one of alert, approval, budget, confirm, description, do,"
        " enabled, name, on, targets, when, window, not 'enable' (did you mean 'enabled'?)"
    ),
    "line 24, rule 2 (two), on.schedule: expected five cron fields, not 'hourly'",
    "line 25, rule 2 (two), window: limits jobs, and the rule makes none",
    "line 25, rule 2 (two), window.closes: is missing; expected a local time, such as 05:00:00",
    "line 25, rule 2 (two), window.timezone: is missing; expected an IANA zone, such as Europe/Paris",
    "line 28, rule 3 (two): expected exactly one of do, alert, confirm, not alert and confirm",
    "line 29, rule 3 (two), name: expected a unique name, but rule 2 has it too",
    (
        "line 30, rule 3 (two), on.event: ROOTCA_EXPIRATION_EVENT names no device, so there is nothing to work on;"
        ' expected alert, or targets = "event.ca"'
    ),
    (
        "line 31, rule 3 (two), targets: expected 'device', 'site.taps', 'site.locations', 'site.tokens' or"
        " 'event.ca', not 'site'"
    ),
    (
        "line 36, rule 3 (two), confirm: expected one of centagate.register_token, tap.reconfigure, test.drift,"
        " twon.rotate_mobile_key, ublox.delete_certificate, ublox.renew_certificate, ublox.replace_certificate,"
        " ublox.revoke_certificate, ublox.roll_root_ca, ublox.rotate_e2e_key, ublox.set_provisioning,"
        " ublox.set_whitelist, ublox.transfer_root_ca, not 'nope'"
    ),
    "line 38, rule 4, name: is missing; expected lower case letters, digits and hyphens, unique",
    "line 39, rule 4, on: expected a table, not 3",
    "line 40, rule 4, alert: expected at least 1 character, not ''",
]


def test_every_fault_is_listed_at_once_with_its_place() -> None:
    assert faults_of(EVERY_FAULT).split("\n") == EXPECTED_FAULTS


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "version: is missing; expected 1"),
        ("version = 1\nrules = ", "not TOML: Invalid value (at end of document)"),
        ("version = 1\nversion = 1\n", "not TOML: Cannot overwrite a value (at line 2, column 12)"),
        ("x = " + "[" * 5000, "not TOML that can be read: nested too deep"),
        ("x = " + "1" * 5000, "not TOML: Exceeds the limit"),
        ("#" * 300_000, "a playbook has at most 256 KiB"),
        ("version = true", "line 1, version: expected 1, not True"),
        ("version = 1\nrules = 3", "line 2, rules: expected an array, not 3"),
        ("version = 1\nrules = [3]", "line 2, rule 1: expected a table, not 3"),
        ('version = 1\n"a b" = 3', "line 2, 'a b': unknown key"),
        (
            playbook(*(one_rule("alert = 'x'", name=f"r{number}") for number in range(501))),
            "rules: Tuple should have at most 500 items after validation, not 501",
        ),
        (playbook(one_rule("do = []")), "line 5, rule 1 (one), do: expected at least one operation"),
        (playbook(one_rule("do = [3]")), "line 5, rule 1 (one), step 1: expected a table, not 3"),
        (playbook(one_rule("do = 3")), "line 5, rule 1 (one), do: expected an array, not 3"),
        (playbook(one_rule("do = [{}]")), "step 1, operation: is missing; expected the name of an operation"),
        (playbook(one_rule("do = [{operation = 3}]")), "step 1, operation: expected text, not 3"),
        (
            playbook(one_rule('do = [{operation = "ublox.rotate_e2e_key", with = 3}]')),
            "step 1, with: expected a table, not 3",
        ),
        (
            playbook(one_rule('do = [{operation = "ublox.rotate_e2e_key", with = {days = []}}]')),
            "step 1, with.days: expected a valid integer",
        ),
        (playbook(one_rule('do = [{operation = "test.drift"}]')), "step 1, with.share: is missing; expected a value"),
        (playbook(one_rule("alert = 'x'", trigger="manual = 1")), "on.manual: expected true or a name, not 1"),
        (
            playbook(one_rule("alert = 'x'", trigger="manual = 'A Leak'")),
            "on.manual: expected true, or lower case letters, digits and hyphens, not 'A Leak'",
        ),
        (
            playbook(
                one_rule("do = [{ operation = 'ublox.roll_root_ca' }]", trigger='event = "ROOTCA_EXPIRATION_EVENT"')
            ),
            'step 1, operation: ublox.roll_root_ca needs targets = "event.ca"',
        ),
        (
            playbook(one_rule("targets = 'event.ca'\ndo = [{ operation = 'ublox.rotate_e2e_key' }]")),
            'step 1, operation: ublox.rotate_e2e_key needs targets = "device"',
        ),
        (
            playbook(
                one_rule(
                    "targets = 'event.ca'\ndo = [{ operation = 'ublox.roll_root_ca' }]",
                    trigger="schedule = '0 2 * * *'",
                )
            ),
            "rule 1 (one), targets: needs a trigger of the kind event",
        ),
        (
            playbook(one_rule("confirm = ['ublox.rotate_e2e_key', 'ublox.rotate_e2e']")),
            "(did you mean 'ublox.rotate_e2e_key'?)",
        ),
        (
            playbook(one_rule("alert = 'x'\nwhen = \"'x' in device.parking\"")),
            "when: device has no parking; expected one of under_way, asked, held_up, parked, enabling",
        ),
        (playbook(one_rule("when = 3\nalert = 'x'")), "when: expected text, not 3"),
        (playbook(one_rule("alert = 'x'", trigger="")), "on: expected exactly one of event, schedule, manual"),
        (playbook(one_rule("alert = 'x'", trigger="event = []")), "on: expected exactly one of event, schedule"),
        (playbook(one_rule("alert = 'x'", trigger="event = 3")), "on.event: expected an array, not 3"),
        (
            playbook(one_rule("alert = 'x'", trigger='schedule = "61 2 * * *"')),
            "on.schedule: Bad minute in '61 2 * * *'; expected minute, hour, day, month and weekday",
        ),
        (
            playbook(one_rule("alert = 'x'", trigger='schedule = "0 0 30 2 *"')),
            "on.schedule: Bad day-of-month in '0 0 30 2 *'",
        ),
        (
            playbook(one_rule("alert = 'x'", trigger='schedule = "0 2 * * *", timezone = "Europe/Pariss"')),
            "on.timezone: Europe/Pariss is no zone of the IANA database",
        ),
        (
            playbook(one_rule("alert = 'x'", trigger='event = "DEVICE_ERRORS_EVENT", jitter_seconds = 3')),
            "on: timezone, catch_up and jitter_seconds have a meaning for a schedule only",
        ),
        (
            playbook(one_rule("when = 'true'\nalert = 'x'", trigger='schedule = "0 2 * * *"')),
            "rule 1 (one), when: needs a trigger of the kind event",
        ),
        (
            playbook(one_rule("when = 'true'\nalert = 'x'", trigger="manual = true")),
            "rule 1 (one), when: needs a trigger of the kind event",
        ),
        (
            playbook(one_rule("confirm = 'test.drift'", trigger="manual = true")),
            "rule 1 (one), confirm: needs a trigger of the kind event",
        ),
    ],
)
def test_a_broken_playbook_is_refused(text: str, fault: str) -> None:
    assert fault in faults_of(text)


def test_a_playbook_without_rules_is_one() -> None:
    assert (
        load("version = 1").decide(event(EventType.BOOTSTRAP)).verdict == "no rule reacts to 'DEVICE_BOOTSTRAP_EVENT'"
    )


def check_any(text: str) -> None:
    loaded = load_or_faults(text)
    if isinstance(loaded, list):
        assert loaded
        assert all(loaded)
    else:
        assert loaded.decide(event(EventType.BOOTSTRAP)).verdict


TOML_LINES = st.sampled_from(
    [*EVERY_FAULT.split("\n"), *default_text().split("\n"), "[[rules]]", "[rules]", "[[rules.do]]", "[rules.on]", "'''"]
)


@given(st.lists(TOML_LINES, max_size=12).map("\n".join) | st.text(max_size=60))
def test_any_text_is_a_playbook_or_a_list_of_faults(text: str) -> None:
    check_any(text)


TOML_VALUES = st.sampled_from(
    ["1", "true", "-3.5", "nan", "'x'", "[]", "{}", "[{}]", "[[1]]", "2020-01-01", "02:00:00", '"DEVICE_ERRORS_EVENT"']
)
TOML_KEYS = st.sampled_from(["name", "on", "when", "targets", "do", "alert", "confirm", "window", "budget", "enabled"])


@given(st.dictionaries(TOML_KEYS, TOML_VALUES))
def test_any_value_in_a_rule_is_right_or_a_fault(rule: dict[str, str]) -> None:
    body = "\n".join(f"{key} = {value}" for key, value in rule.items())
    check_any(f"version = 1\n[[rules]]\n{body}")


def test_the_scanner_knows_lines_of_tables_and_keys() -> None:
    text = "a.b = 1\n[t]\nx = 1\n[[r]]\n[[r]]\n[r.u]\ny = '''\n[z]\n'''\n[[r.v]]\n\"k\" = 2\n"
    lines = find_lines(text)
    assert lines == {
        ("a",): 1,
        ("a", "b"): 1,
        ("t",): 2,
        ("t", "x"): 3,
        ("r", 0): 4,
        ("r", 1): 5,
        ("r", 1, "u"): 6,
        ("r", 1, "u", "y"): 7,
        ("r", 1, "v", 0): 10,
        ("r", 1, "v", 0, "k"): 11,
    }
    assert line_of(("r", 1, "u", "y", 3), lines) == 7
    assert line_of(("q",), lines) is None
