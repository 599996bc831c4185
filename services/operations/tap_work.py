"""The reconfiguration of one Tap, in the acts of every operation: look, compare, act, look again.

Each act opens a line of its own, so that an act can follow a restart, a change of password or a broken line. What an
interrupted run leaves is found by the next: passwords are tried in both their forms, the old and the new, at most one
wrong one in a run, for a Tap locks itself after some; and the version is written last, so that a Tap which shows the
wanted one has taken everything.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from pydantic import SecretStr

from schemas.errors import Refused, TryAgain
from services.clients.tap import BoundCall, Status, Tap, change_password, find, run
from services.operations.tap_access import TapAccess, TapOrder, TapSession
from services.operations.tap_look import introduce, look
from services.operations.tap_plan import Actual, Plan, Step, Target, leftovers, make_plan, refusals_of
from services.operations.tap_settings import Wish, wishes_of

Told = Callable[[int, int, str], None]
"""Hears of progress: steps done, steps in all, what comes next."""

_LOGIN: Final = "login"


class TapWork:
    """One Tap and what is wished of it.

    Attributes:
        target: what the Tap should be.
    """

    def __init__(self, order: TapOrder, access: TapAccess, *, wanted_first: bool = False) -> None:
        """Fetch every secret that is needed; nothing is sent yet.

        Args:
            order: which Tap, and what it should be.
            access: the way to it.
            wanted_first: the Tap probably has the wanted password of our user already.

        Raises:
            InputError: a secret is not there or cannot be used.
        """
        self.target = Target(version=order.wanted.version, wishes=wishes_of(order.wanted, access.reveal))
        self._order = order
        self._access = access
        own = [SecretStr(wish.value) for wish in self._passwords if self._is_own(wish)]
        current = access.reveal(order.password)
        candidates = [*own, current] if wanted_first else [current, *own]
        self._candidates = list({one.get_secret_value(): one for one in candidates}.values())

    def look(self) -> Plan:
        """Look and compare: what is to be written, or why nothing may be.

        Raises:
            UpstreamError: the Tap cannot be reached, does not let us in, or has trouble.
        """
        with self._line() as session:
            first = introduce(session)
        if refusals := refusals_of(self.target, first):
            return Plan(refusals=refusals)
        if first.version == self.target.version:
            self._prefer_wanted()
        with self._logged_in() as session:
            actual = look(session, self.target.wishes)
        return make_plan(self.target, replace(actual, proven=self._proven(actual)))

    def write(self, plan: Plan, told: Told) -> None:
        """Write everything but the version, and read back what can be read.

        Raises:
            UpstreamError: the Tap refuses, cannot be reached, or shows another value than was written.
        """
        steps = plan.but_version
        with self._logged_in() as session:
            for count, step in enumerate(steps):
                told(count, len(steps), step.wish.label)
                self._write(session, step)
        if self.sets_own_password(plan):
            self._prefer_wanted()
        with self._logged_in() as session:
            actual = look(session, self.target.wishes)
        if wrong := leftovers(plan, actual):
            text = f"written, and yet the Tap shows other values of {', '.join(wrong)}"
            raise TryAgain(text, call="look again")

    def prove(self, plan: Plan, told: Told) -> None:
        """Log in by every changed password.

        Raises:
            UpstreamError: one does not open the Tap.
        """
        for count, wish in enumerate(plan.passwords):
            told(count, len(plan.passwords), f"log in as {self._user_of(wish)}")
            if not self._opens(wish):
                raise TryAgain(f"the new password of {self._user_of(wish)} does not open the Tap", call=_LOGIN)

    def settle(self, plan: Plan) -> None:
        """Write the version, the last thing of a configuration, and read it back.

        Raises:
            UpstreamError: the Tap refuses or cannot be reached.
        """
        with self._logged_in() as session:
            tap = Tap(session)
            for step in plan.steps[len(plan.but_version) :]:
                self._write(session, step)
            if tap.interface.get_config_version() != self.target.version:
                raise TryAgain("written, and yet the Tap shows another version", call="look again")

    def restart(self) -> None:
        """Restart the Tap; a line that breaks meanwhile is no wonder.

        Raises:
            UpstreamError: the Tap cannot be reached, or refuses.
        """
        with self._logged_in() as session:
            try:
                Tap(session).device.reboot()
            except TryAgain as error:
                if not error.sent:
                    raise

    def sets_own_password(self, plan: Plan) -> bool:
        """Whether a plan changes the password by which we log in."""
        return any(self._is_own(wish) for wish in plan.passwords)

    @property
    def _passwords(self) -> tuple[Wish, ...]:
        return tuple(wish for wish in self.target.wishes if wish.is_password)

    @contextmanager
    def _line(self) -> Iterator[TapSession]:
        """A line to our Tap and no other: nothing may be told to a stranger."""
        with self._access.open(self._order.serial) as session:
            if session.serial != self._order.serial:
                text = f"{session.serial} answers at the address of {self._order.serial}: correct it in the inventory"
                raise Refused(text, call="connect", sent=False)
            yield session

    @contextmanager
    def _logged_in(self) -> Iterator[TapSession]:
        """A line on which we are logged in, by the first of our passwords that opens the Tap."""
        for candidate in list(self._candidates):
            with self._line() as session:
                if not session.log_in(self._order.user, candidate):
                    continue
                self._candidates = [candidate, *(one for one in self._candidates if one != candidate)]
                yield session
                return
        text = f"no password that we have opens the Tap as {self._order.user}: correct the one in the inventory"
        raise Refused(text, call=_LOGIN, status=Status.UNAUTHORIZED)

    def _proven(self, actual: Actual) -> frozenset[int]:
        """The users whose wanted password is known to open the Tap: ours, and those that a settled Tap should have.

        After the first that does not, none is tried: they are all written again.
        """
        current = self._candidates[0].get_secret_value()
        proven = {wish.group for wish in self._passwords if self._is_own(wish) and wish.value == current}
        if actual.version == self.target.version:
            for wish in self._passwords:
                if wish.group in proven or wish.group not in actual.groups:
                    continue
                if not self._opens(wish):
                    break
                proven.add(wish.group)
        return frozenset(group for group in proven if group is not None)

    def _opens(self, wish: Wish) -> bool:
        with self._line() as session:
            return session.log_in(self._user_of(wish), SecretStr(wish.value))

    def _write(self, session: TapSession, step: Step) -> None:
        wish = step.wish
        if wish.is_password and wish.group is not None:
            run(change_password(wish.group, wish.value, salt=_salt()), session.exchange)
            self._access.forgive(self._order.serial, self._user_of(wish))
        elif wish.put == "group.create":
            BoundCall(find(wish.put), session)(*wish.numbers)
        else:
            BoundCall(find(wish.put), session)(*wish.numbers, wish.value)

    def _prefer_wanted(self) -> None:
        own = [wish.value for wish in self._passwords if self._is_own(wish)]
        self._candidates.sort(key=lambda one: one.get_secret_value() not in own)

    def _is_own(self, wish: Wish) -> bool:
        return self._user_of(wish) == self._order.user

    def _user_of(self, wish: Wish) -> str:
        return next(user.name for user in self._order.wanted.users if user.number == wish.group)


def _salt() -> bytes:
    """Four bytes, the first not zero: a salt of zeros would disable the login (notes §10.2)."""
    return bytes([1 + secrets.randbelow(255)]) + secrets.token_bytes(3)
