import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.broker import QUEUES, queue_of
from schemas.centagate import TokenStatus, TokenType
from schemas.errors import ConfigurationError, OurFault, Refused, TryAgain
from schemas.jobs import Again, Done, Outcome, Parked, ParkedBecause
from services.operations import OPERATIONS
from services.operations.centagate_access import TokenOrder
from services.operations.contract import NO_CENTAGATE, UNVERIFIABLE
from services.operations.register_token import MOST_CALLS, RegisterTokenParameters
from tests.conftest import Clock
from tests.unit.token_desk import OTHER_PHONE, PHONE, SERIAL, Desk, Held, Killed, Service

SMS, OTP = ("alice", TokenType.SMS), ("alice", TokenType.OTP)
SILENCE = TryAgain("no whole answer", call="/token/registerActiveToken")
UNSENT = TryAgain("no connection", call="/token/registerActiveToken", sent=False)


@pytest.fixture
def service() -> Service:
    return made()


def made() -> Service:
    return Service(
        {
            "alice/sms": TokenOrder(username="alice", type=TokenType.SMS, number=PHONE),
            "alice/otp": TokenOrder(username="alice", type=TokenType.OTP, number=SERIAL),
            "nobody/sms": TokenOrder(username="nobody", type=TokenType.SMS, number=PHONE),
        }
    )


@pytest.fixture
def desk(service: Service, clock: Clock) -> Desk:
    return Desk(service, clock)


def refused(outcome: Outcome) -> str:
    assert isinstance(outcome, Parked), outcome
    assert outcome.because is ParkedBecause.REFUSED
    return outcome.reason


def unverifiable(outcome: Outcome) -> bool:
    assert isinstance(outcome, Done), outcome
    return outcome.note.startswith(UNVERIFIABLE)


def test_it_is_a_verb_of_the_queue_centagate_without_parameters() -> None:
    assert OPERATIONS["centagate.register_token"].parameters is RegisterTokenParameters
    assert "centagate" in QUEUES
    assert queue_of("keyturn.centagate.register_token") == "centagate"
    with pytest.raises(ValidationError):
        RegisterTokenParameters.model_validate({"phone": "+999"})


@pytest.mark.parametrize("target", ["alice/sms", "alice/otp"])
def test_a_token_is_registered_and_looked_at_again(service: Service, desk: Desk, target: str) -> None:
    kind = target.partition("/")[2].upper()
    told = f"registered and looked again: the {kind} token of alice has the number of the inventory; it is valid"
    assert desk.run(target) == Done(note=told)
    assert service.tokens == {("alice", TokenType[kind]): Held(service.orders[target].number)}


def test_a_token_that_is_there_is_left_alone(service: Service, desk: Desk) -> None:
    service.tokens[SMS] = Held(PHONE)
    outcome = desk.run()
    assert isinstance(outcome, Done)
    assert outcome.note.startswith("nothing to do: ")
    assert service.calls == 0


def test_a_number_of_somebody_else_is_refused_with_what_to_do(service: Service, desk: Desk) -> None:
    service.tokens["bob", TokenType.SMS] = Held(PHONE)
    assert "29004, the phone number is already used (unregister it from the user that has it" in refused(desk.run())
    assert service.tokens.keys() == {("bob", TokenType.SMS)}


@pytest.mark.parametrize(("key", "target"), [(SMS, "alice/sms"), (OTP, "alice/otp")])
def test_another_number_is_not_replaced(service: Service, desk: Desk, key: tuple[str, TokenType], target: str) -> None:
    service.tokens[key] = Held(OTHER_PHONE)
    assert "another number is registered; unregister that one first" in refused(desk.run(target))
    assert service.calls == 0


@pytest.mark.parametrize(("code", "target"), [(29008, "alice/otp"), (22027, "alice/sms"), (29004, "alice/sms")])
def test_a_taken_place_that_the_list_does_not_show_is_refused(
    service: Service, desk: Desk, code: int, target: str
) -> None:
    service.fails = [(code, False)]
    assert f"{code}, " in refused(desk.run(target))
    assert desk.progress == {}


@pytest.mark.parametrize("code", [29004, 22027, 29008, 6002])
def test_a_code_that_tells_of_our_own_success_is_a_success(service: Service, desk: Desk, code: int) -> None:
    service.fails = [(code, True)]  # such as a proxy that repeats the request after a lost answer
    outcome = desk.run()
    assert isinstance(outcome, Done)
    assert outcome.note.startswith(f"the service said {code}, an earlier call took effect: ")


def test_a_call_without_answer_is_looked_for_before_it_is_repeated(service: Service, desk: Desk) -> None:
    service.fails = [(SILENCE, True)]
    assert isinstance(desk.run(), Again)
    assert desk.progress == {"asked": 1}
    outcome = desk.run()
    assert isinstance(outcome, Done)
    assert outcome.note.startswith("there after an earlier call of ours: ")
    assert service.calls == 1


def test_a_call_that_was_lost_on_the_way_is_repeated(service: Service, desk: Desk) -> None:
    service.fails = [(SILENCE, False)]
    desk.run()
    assert isinstance(desk.run(), Done)
    assert service.calls == 2


def test_calls_without_effect_come_to_an_end(service: Service, desk: Desk) -> None:
    service.drops = True
    outcomes = [desk.run() for _ in range(MOST_CALLS + 1)]
    assert outcomes[0] == Again(reason="SMS token of alice: the service took it, but shows none")
    last = outcomes[-1]
    assert isinstance(last, Parked)
    assert last.because is ParkedBecause.EXHAUSTED
    assert service.calls == MOST_CALLS
    assert isinstance(desk.run(), Again)  # a person redrives it: it is asked for again
    assert service.calls == MOST_CALLS + 1


@pytest.mark.parametrize("error", [UNSENT, OurFault("23023, check the clock", call="/x"), Refused("10002", call="/x")])
def test_a_call_that_certainly_had_no_effect_is_not_counted(service: Service, desk: Desk, error: Exception) -> None:
    service.fails = [(error, False)]
    desk.run()
    assert desk.progress == {}


def test_what_a_failure_means_is_told(service: Service, desk: Desk) -> None:
    service.fails = [(OurFault("check the clock", call="/x", status=200), False)]
    assert desk.run() == Again(reason="check the clock", status=200, our_fault=True)
    service.fails = [(Refused("29017, wrong token status", call="/x", status=200), False)]
    assert refused(desk.run("alice/otp")) == "29017, wrong token status"
    assert "22002, user not found" in refused(desk.run("nobody/sms"))


def test_a_token_that_could_not_be_bound_is_tried_once_more(service: Service, desk: Desk) -> None:
    service.fails = [(6002, False), (6002, False)]
    assert isinstance(desk.run("alice/otp"), Again)
    told = refused(desk.run("alice/otp"))
    assert "must be unbound from every user and have the status deactivated (4) beforehand" in told
    assert service.calls == 2


def test_the_second_try_may_succeed(service: Service, desk: Desk) -> None:
    service.fails = [(6002, False)]
    desk.run("alice/otp")
    assert isinstance(desk.run("alice/otp"), Done)


def test_a_token_that_somebody_has_deactivated_for_a_time_stays_so(service: Service, desk: Desk) -> None:
    service.tokens[SMS] = Held(PHONE, TokenStatus.TEMPORARILY_DEACTIVATED)
    assert "somebody deactivated it for a time" in refused(desk.run())
    assert service.calls == 0


@pytest.mark.parametrize("status", [TokenStatus.PENDING, TokenStatus.DEACTIVATED])
def test_a_token_that_is_not_in_force_is_no_success(service: Service, desk: Desk, status: TokenStatus) -> None:
    service.tokens[OTP] = Held(SERIAL, status)
    service.fails = [(0, False)]
    told = f"OTP token of alice: the service took it, but shows one that is {status.label}"
    assert desk.run("alice/otp") == Again(reason=told)
    assert service.calls == 1


@pytest.mark.parametrize("status", [TokenStatus.PENDING, TokenStatus.DEACTIVATED])
def test_a_token_that_the_user_has_out_of_force_is_told_as_that(
    service: Service, desk: Desk, status: TokenStatus
) -> None:
    service.tokens[SMS] = Held(PHONE, status)
    told = f"SMS token of alice: the user has it, and it is {status.label}; make it valid there, or unregister it"
    assert refused(desk.run()).startswith(told)


def test_a_service_that_shows_nothing_is_believed_and_the_note_says_so(service: Service, desk: Desk) -> None:
    service.shows.clear()
    assert unverifiable(desk.run())


@pytest.mark.parametrize("shows", [{"type", "status"}, {"type"}, {"status"}])
def test_a_service_that_hides_numbers_is_believed_after_our_call(service: Service, desk: Desk, shows: set[str]) -> None:
    service.shows = shows
    assert unverifiable(desk.run())


def test_a_masked_number_that_agrees_is_enough_and_the_note_says_so(service: Service, desk: Desk) -> None:
    service.spoken = lambda number: "*" * (len(number) - 4) + number[-4:]
    assert unverifiable(desk.run())
    assert unverifiable(desk.run())
    assert service.calls == 1


def test_a_masked_number_that_does_not_agree_is_another(service: Service, desk: Desk) -> None:
    service.spoken = lambda number: "*" * (len(number) - 4) + number[-4:]
    service.tokens[SMS] = Held(OTHER_PHONE)
    assert "another number" in refused(desk.run())


def test_a_hidden_number_that_we_did_not_register_is_nobodys_guess(service: Service, desk: Desk) -> None:
    service.shows = {"type", "status"}
    service.tokens[SMS] = Held(PHONE)
    assert "the service does not show its number" in refused(desk.run())
    assert service.calls == 0


def test_a_refusal_does_not_make_a_later_hidden_number_ours(service: Service, desk: Desk) -> None:
    service.shows = {"type", "status"}
    service.tokens["bob", TokenType.SMS] = Held(PHONE)
    assert "29004" in refused(desk.run())
    service.tokens[SMS] = Held(OTHER_PHONE)
    assert "the service does not show its number" in refused(desk.run())


def test_a_hidden_number_that_appears_with_a_refusal_is_nobodys_guess(service: Service, desk: Desk) -> None:
    service.shows = {"type", "status"}
    service.fails = [(29004, True)]
    assert "29004" in refused(desk.run())


def test_a_hidden_number_after_a_call_without_answer_is_taken_for_ours(service: Service, desk: Desk) -> None:
    service.shows = {"type", "status"}
    service.fails = [(SILENCE, True)]
    desk.run()
    assert unverifiable(desk.run())
    assert service.calls == 1


def test_where_nothing_is_shown_a_doubt_is_a_persons_to_settle(service: Service, desk: Desk) -> None:
    service.shows.clear()
    service.fails = [(SILENCE, True)]
    desk.run()
    assert "29004" in (told := refused(desk.run()))
    assert "an earlier call of ours got no answer, and may have done it" in told


def test_a_look_that_fails_decides_nothing(service: Service, desk: Desk) -> None:
    service.looks = [TryAgain("no answer", call="/user/auth/list")]
    assert isinstance(desk.run(), Again)
    assert service.calls == 0
    service.looks = [None, TryAgain("no answer", call="/user/auth/list")]
    assert isinstance(desk.run(), Again)
    assert isinstance(desk.run(), Done)
    assert service.calls == 1


def test_a_job_that_is_no_longer_ours_does_nothing(service: Service, desk: Desk) -> None:
    desk.lost = True
    assert desk.run() == Again(reason="another worker has taken this job over", counts=False)
    assert service.calls == 0


def test_a_token_that_the_inventory_does_not_have_is_our_fault(desk: Desk) -> None:
    told = "the inventory has no CENTAGATE token carol/sms"
    assert desk.run("carol/sms") == Parked(reason=told, because=ParkedBecause.OUR_FAULT)


def test_a_worker_without_the_settings_says_so(clock: Clock) -> None:
    outcome = Desk(NO_CENTAGATE, clock).run()  # type: ignore[arg-type] # it stands for any
    assert outcome == Again(reason="this worker has no settings for the outside system centagate", our_fault=True)


def test_killed_before_the_call_nothing_is_lost_or_doubled(service: Service, desk: Desk) -> None:
    service.fails = [(Killed(), False)]
    with pytest.raises(Killed):
        desk.run()
    assert isinstance(desk.run(), Done)
    assert len(service.tokens) == 1


def test_killed_after_the_write_before_the_answer_the_next_attempt_finds_it(service: Service, desk: Desk) -> None:
    service.fails = [(Killed(), True)]
    with pytest.raises(Killed):
        desk.run()
    assert isinstance(desk.run(), Done)
    assert service.calls == 1


def test_killed_after_the_answer_before_settling_the_next_attempt_finds_it(service: Service, desk: Desk) -> None:
    desk.dies_before_settling = True
    with pytest.raises(Killed):
        desk.run()
    assert isinstance(desk.run(), Done)
    assert service.calls == 1


@settings(max_examples=150)
@given(
    target=st.sampled_from(["alice/sms", "alice/otp"]),
    fails=st.lists(
        st.tuples(st.sampled_from([SILENCE, UNSENT, Killed(), 6002]), st.booleans()).filter(
            lambda one: not (one[0] is UNSENT and one[1])
        ),
        max_size=6,
    ),
    shows=st.sets(st.sampled_from(["number", "type", "status"])),
    before=st.sampled_from([None, PHONE, OTHER_PHONE, SERIAL]),
)
def test_whatever_goes_wrong_it_ends_and_done_means_there(
    target: str, fails: list[tuple[Exception | int, bool]], shows: set[str], before: object
) -> None:
    service = made()
    service.fails, service.shows = list(fails), shows
    order = service.orders[target]
    key = (order.username, order.type)
    if before is not None:
        service.tokens[key] = Held(before)  # type: ignore[arg-type] # drawn as object
    desk = Desk(service, Clock())
    for _ in range(len(fails) + MOST_CALLS + 2):
        try:
            outcome = desk.run(target)
        except Killed:
            continue
        if not isinstance(outcome, Again):
            break
    else:
        raise AssertionError("it never ends")
    assert service.calls <= MOST_CALLS + len(fails)
    if isinstance(outcome, Done):
        assert service.tokens[key].number == order.number
    for text in (outcome.note if isinstance(outcome, Done) else outcome.reason,):
        assert "555010" not in text
        assert "421789" not in text


def test_settings_that_are_missing_are_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="centagate"):
        NO_CENTAGATE.order("alice/sms")
