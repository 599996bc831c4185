"""Random lives of a vault and its ring, on both databases: while keys come and go, every value is the one last put."""

# ruff: noqa: D102 - a rule's name is its sentence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pydantic import SecretStr

from infra.ledger import Ledger
from infra.vault import Vault
from tests.support.vault import vault_of

NAMES = st.sampled_from(["tap/1/password", "tap/2/password", "token/alice/sms", "mobile-key/1"])
VALUES = st.text(min_size=1, max_size=20)


class VaultLives(RuleBasedStateMachine):
    """Puts, deletes, and changes the ring as the guide tells: add below, move to the top, seal again, take away."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        self.ledger.secrets.delete(self.ledger.secrets.names())
        self.made = 1
        self.ring = ["key-1"]  # newest first
        self.lagging = ["key-1"]  # of a process that was not restarted since the last change
        self.values: dict[str, str] = {}

    def vault(self, *, lagging: bool = False) -> Vault:
        return vault_of(self.ledger, *(self.lagging if lagging else self.ring))

    @rule(name=NAMES, value=VALUES, lagging=st.booleans())
    def a_value_is_put(self, name: str, value: str, *, lagging: bool) -> None:
        self.vault(lagging=lagging).put(name, SecretStr(value))
        self.values[name] = value

    @rule(name=NAMES)
    def a_value_is_deleted(self, name: str) -> None:
        assert self.vault().delete([name]) == (self.values.pop(name, None) is not None)

    @precondition(lambda self: self.lagging == self.ring)
    @rule()
    def a_new_key_is_added_below_the_others(self) -> None:
        self.made += 1
        self.ring = [*self.ring, f"key-{self.made}"]

    @precondition(lambda self: self.lagging == self.ring)
    @rule()
    def the_lowest_key_is_moved_to_the_top(self) -> None:
        self.ring = [self.ring[-1], *self.ring[:-1]]

    @rule()
    def the_last_process_is_restarted(self) -> None:
        self.lagging = list(self.ring)

    @rule(lagging=st.booleans())
    def somebody_seals_again(self, *, lagging: bool) -> None:
        before = self.ledger.secrets.counts()
        newest = (self.lagging if lagging else self.ring)[0]
        resealed = self.vault(lagging=lagging).reseal()
        assert (resealed.done, resealed.left) == (sum(before.values()) - before.get(newest, 0), {})

    @precondition(lambda self: self.lagging == self.ring)
    @rule()
    def the_keys_that_seal_nothing_are_taken_away(self) -> None:
        idle = {use.key_id for use in self.vault().uses() if not use.values and not use.newest}
        self.ring = self.lagging = [key_id for key_id in self.ring if key_id not in idle]

    @invariant()
    def every_process_opens_every_value(self) -> None:
        for lagging in (False, True):
            vault = self.vault(lagging=lagging)
            assert {name: vault.get(name).get_secret_value() for name in vault.names()} == self.values

    @invariant()
    def what_is_told_of_the_keys_adds_up(self) -> None:
        uses = self.vault().uses()
        assert sum(use.values for use in uses) == len(self.values)
        assert not any(use.closed for use in uses)


@pytest.fixture
def lives(ledger: Ledger) -> type[VaultLives]:
    return type("Lives", (VaultLives,), {"ledger": ledger})


def test_whatever_happens_to_the_ring_every_value_opens(lives: type[VaultLives]) -> None:
    bounds = settings(
        max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(lives, settings=bounds)
