"""Whatever is asked of the CENTAGATE twin in whatever order, its tokens stay in order and its answers have a code."""

from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.sandbox.centagate import managing
from services.sandbox.centagate.bodies import OfToken, OfUser, Registration, TokenStatusWish, UserStatusWish
from services.sandbox.centagate.codes import Code, Refusal
from services.sandbox.centagate.directory import Token
from services.sandbox.centagate.endpoints import ENDPOINTS
from services.sandbox.centagate.tally import key_of
from services.sandbox.centagate.twin import Twin
from tests.support.centagate import PLAIN, Caller, CentagateTwin, centagate_twin

USERS = st.sampled_from(["user-0001", "user-0002", "user-0003", "nobody"])
NUMBERS = st.sampled_from(["+999000000001", "999000000001", "+999000000002", "SN00000001", "SN00000002", "SN-NONE"])
KINDS = st.sampled_from(["1", "2", "3", "4"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    ["username", "password", "integrationKey", "unixTimestamp", "hmac", "cenToken", "authToken", "type", "tokenSn"]
)


class Office(RuleBasedStateMachine):
    """Administrators at work."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = Twin(users=3)

    def ask(self, call: Callable[[Twin, Any], object], wish: OfUser) -> None:
        """Make a call; one that is refused changes nothing."""
        before = deepcopy(self.twin.directory)
        try:
            call(self.twin, wish)
        except Refusal:
            assert self.twin.directory == before

    @rule(username=USERS, number=NUMBERS, kind=st.sampled_from(["1", "2"]))
    def register(self, username: str, number: str, kind: str) -> None:
        """Bind a token."""
        wish = Registration.model_validate({"cenToken": "", "username": username, "tokenSn": number, "tokenType": kind})
        self.ask(managing.register_token, wish)

    @rule(username=USERS, kind=KINDS)
    def unregister(self, username: str, kind: str) -> None:
        """Take a token away."""
        self.ask(
            managing.unregister_token, OfToken.model_validate({"cenToken": "", "username": username, "type": kind})
        )

    @rule(username=USERS, kind=KINDS, status=KINDS)
    def set_token_status(self, username: str, kind: str, status: str) -> None:
        """Give a token another status."""
        wish = {"cenToken": "", "username": username, "type": kind, "status": status}
        self.ask(managing.update_token_status, TokenStatusWish.model_validate(wish))

    @rule(username=USERS, status=st.sampled_from(["0", "1"]))
    def set_user_status(self, username: str, status: str) -> None:
        """Make a user active or not."""
        wish = {"cenToken": "", "username": username, "status": status}
        self.ask(managing.update_user_status, UserStatusWish.model_validate(wish))

    @rule(username=USERS)
    def unlock(self, username: str) -> None:
        """Make a hardware token valid again."""
        self.ask(managing.unlock_token, OfUser.model_validate({"cenToken": "", "username": username}))

    @rule(username=st.just("user-0003"))
    def delete(self, username: str) -> None:
        """Delete a user with all tokens."""
        self.ask(managing.delete_user, OfUser.model_validate({"cenToken": "", "username": username}))

    @invariant()
    def every_token_is_of_a_user_who_has_one_of_its_type(self) -> None:
        """A user has at most one token of each type."""
        assert {token.user for token in self.bound()} <= set(self.twin.directory.users)
        assert max(Counter((token.user, token.type) for token in self.bound()).values(), default=1) == 1

    @invariant()
    def what_was_registered_is_there_or_was_taken_away(self) -> None:
        """The counts tell what is bound."""
        tally = self.twin.tally
        now = Counter(key_of(token.user, token.type) for token in self.bound())
        assert now + tally.removals == tally.registrations
        assert tally.registrations <= tally.asked

    def bound(self) -> list[Token]:
        """Every token that somebody has."""
        directory = self.twin.directory
        return [token for token in (*directory.phones.values(), *directory.hardware.values()) if token.user]


Office.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestOffice = Office.TestCase


@pytest.fixture(scope="module")
def twin() -> Iterator[CentagateTwin]:
    with centagate_twin(users=1) as twin:
        yield twin


@settings(max_examples=60, deadline=None)
@given(
    endpoint=st.sampled_from(ENDPOINTS),
    body=JSON | st.dictionaries(MEMBERS, JSON, max_size=5),
    name=st.text(min_size=1, max_size=10, alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"])),
)
def test_any_body_and_any_name_is_answered_with_a_code(
    twin: CentagateTwin, endpoint: Any, body: Any, name: str
) -> None:
    variables = endpoint.variables.replace("{token}", "0").replace("{admin:path}", "{username:path}")
    path = f"{PLAIN}/{endpoint.path}{variables.replace('{username:path}', quote(name, safe=''))}"
    answer = twin.http.request(endpoint.methods[0], path, json=body)
    assert answer.status_code == 200
    assert int(answer.json()["code"]) in {Code.INVALID_INPUT, Code.INVALID_SESSION, Code.API_NOT_FOUND}


def test_the_twin_still_works_after_that(twin: CentagateTwin) -> None:
    caller = Caller(twin)
    caller.log_in()
    assert caller.register("user-0001", "+999000000001", "1") == 0
