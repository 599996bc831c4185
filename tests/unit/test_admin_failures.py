from services.web.admin.failures import MOST_FRIENDS, MOST_PEERS, REFILL_SECONDS, TRIES, Failures


class Seconds:
    """A clock in seconds that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def fail(failures: Failures, peer: str, times: int) -> None:
    for _ in range(times):
        failures.failed(peer, "kt_wrong")


def test_a_peer_may_show_some_wrong_keys_and_then_waits() -> None:
    seconds = Seconds()
    failures = Failures(clock=seconds)
    fail(failures, "192.0.2.1", TRIES - 1)
    assert failures.wait("192.0.2.1", "kt_other") == 0
    fail(failures, "192.0.2.1", 1)
    wait = failures.wait("192.0.2.1", "kt_other")
    assert 0 < wait <= REFILL_SECONDS + 1
    seconds.now += wait
    assert failures.wait("192.0.2.1", "kt_other") == 0


def test_another_peer_is_not_concerned() -> None:
    failures = Failures(clock=Seconds())
    fail(failures, "192.0.2.1", TRIES)
    assert failures.wait("192.0.2.2", "kt_other") == 0


def test_a_key_that_opened_before_passes_until_it_fails_itself() -> None:
    failures = Failures(clock=Seconds())
    failures.opened("kt_good")
    fail(failures, "192.0.2.1", TRIES)
    assert failures.wait("192.0.2.1", "kt_good") == 0
    failures.failed("192.0.2.1", "kt_good")
    assert failures.wait("192.0.2.1", "kt_good") > 0


def test_the_addresses_of_one_ipv6_network_are_one_peer() -> None:
    failures = Failures(clock=Seconds())
    for number in range(TRIES):
        failures.failed(f"2001:db8::{number:x}", "kt_wrong")
    assert failures.wait("2001:db8::ffff", "kt_other") > 0
    assert failures.wait("2001:db8:0:1::1", "kt_other") == 0


def test_an_ipv4_address_written_as_ipv6_is_the_same_peer() -> None:
    failures = Failures(clock=Seconds())
    fail(failures, "::ffff:192.0.2.1", TRIES)
    assert failures.wait("192.0.2.1", "kt_other") > 0
    assert failures.wait("192.0.2.2", "kt_other") == 0


def test_the_tables_stay_small_whoever_calls() -> None:
    failures = Failures(clock=Seconds())
    for number in range(MOST_PEERS + 10):
        failures.failed(f"peer-{number}", "kt_wrong")
    for number in range(MOST_FRIENDS + 10):
        failures.opened(f"kt_{number}")
    assert failures.size == (MOST_PEERS, MOST_FRIENDS)
