"""Verbs of several exchanges, apart from the login that has a file of its own."""

import pytest

from services.clients.tap import (
    DeviceRefusal,
    LocalProtocolError,
    LoginRefused,
    RemoteProtocolError,
    change_password,
    plain_login,
    run,
)
from tests.unit.tap.lines import Line, scripted


def test_plain_logins() -> None:
    line = Line(scripted(["449000", "449000"]))
    run(plain_login("admin", "admin", hashed=False), line.exchange)
    run(plain_login("admin", "admin", hashed=True), line.exchange)
    name = "61646d696e" + "00" * 11
    assert line.asked[0].hex() == "a2da000027020400ffff0000" + name * 2
    assert line.asked[1].hex() == "a2da000027020400ffff0000" + name + "0155affc023aff6882f56a4e0d9c5466"


def test_a_plain_login_that_is_refused() -> None:
    with pytest.raises(LoginRefused):
        run(plain_login("admin", "wrong", hashed=False), Line(scripted(["819000"])).exchange)


def test_a_password_in_clear_is_not_cut() -> None:
    with pytest.raises(LocalProtocolError):
        run(plain_login("admin", "a-password-longer-than-sixteen", hashed=False), Line(scripted([])).exchange)


def test_a_salt_that_would_disable_the_login_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        run(change_password(1, "pw", salt=bytes(4)), Line(scripted([])).exchange)


@pytest.mark.parametrize("replies", [["819000"], ["45000000649000", "819000"]])
def test_a_password_change_that_is_refused(replies: list[str]) -> None:
    with pytest.raises(DeviceRefusal):
        run(change_password(1, "pw", salt=b"salt"), Line(scripted(replies)).exchange)


@pytest.mark.parametrize("reply", ["4500649000", "45000000009000", "45000100009000"])
def test_an_iteration_count_that_cannot_be(reply: str) -> None:
    with pytest.raises(RemoteProtocolError):
        run(change_password(1, "pw", salt=b"salt"), Line(scripted([reply])).exchange)
