"""Who may do what on a Tap.

The vendor's pages say only that the administrator alone may configure and reset a Tap, and that the supervisor may
change names and passwords except the administrator's (Tap protocol notes §10.1). The rest is the simplest that fits.
"""

from enum import IntEnum
from typing import Final

from services.clients.tap.events import Method, Request
from services.clients.tap.paths import CREATE, GROUP_OBJECT, Path
from services.clients.tap.registry import calls_at
from services.clients.tap.state import LOGOUT_PATH
from services.sandbox.tap.factory import ADMIN, ANONYMOUS, SUPERVISOR
from services.sandbox.tap.memory import Memory

PLAIN_LOGIN_PATH: Final = Path(1024, None, 0)
UID_PATH: Final = Path(1024, None, 5)
NAME_PATH: Final = Path(1024, None, 9)
REBOOT_PATH: Final = Path(3, None, 4)

GROUP_NAME: Final = 0
GROUP_PASSWORD: Final = 2

_OPEN_POSTS: Final = frozenset({PLAIN_LOGIN_PATH, LOGOUT_PATH, UID_PATH})
"""Posts that come before a login or end one; they write nothing."""

_CONFIGURING_POSTS: Final = frozenset(
    Path.parse(f"/1024//{resource}") for resource in (10, 24, 74, 75, *range(100, 106))
) | {Path(3, None, 5)}
"""Posts by which only the administrator changes how a Tap behaves."""


class Rank(IntEnum):
    """Who is asking, from nobody to the administrator."""

    STRANGER = 0
    USER = 1
    SUPERVISOR = 2
    ADMIN = 3


_RANKS: Final = {ANONYMOUS: Rank.STRANGER, SUPERVISOR: Rank.SUPERVISOR, ADMIN: Rank.ADMIN}


def is_write(request: Request) -> bool:
    """Say whether a request is meant to change something: a PUT or a POST that is no part of a login."""
    return request.method is not Method.GET and request.path not in _OPEN_POSTS


def rank_of(memory: Memory, group: int) -> Rank:
    """Give the rank of a user."""
    return _RANKS.get(memory.rights_of(group), Rank.USER)


def may(memory: Memory, group: int, request: Request) -> bool:
    """Say whether a user may make this request; on a Tap that nobody has configured everybody may."""
    if not memory.configured or rank_of(memory, group) >= _needed(request):
        return True
    own_password = Path(GROUP_OBJECT, group, GROUP_PASSWORD)
    return group != ANONYMOUS and request.path == own_password


def _needed(request: Request) -> Rank:
    if not is_write(request):
        secret = request.method is Method.GET and any(call.secret for call in calls_at(Method.GET, request.path))
        return Rank.ADMIN if secret else Rank.STRANGER
    if request.path.object == GROUP_OBJECT:
        return _needed_for_group(request.path)
    if request.path in {NAME_PATH, REBOOT_PATH}:
        return Rank.SUPERVISOR
    if request.method is Method.PUT or request.path in _CONFIGURING_POSTS or request.path.resource == CREATE:
        return Rank.ADMIN
    return Rank.USER


def _needed_for_group(path: Path) -> Rank:
    if path.resource == GROUP_NAME or (path.resource == GROUP_PASSWORD and path.instance != ADMIN):
        return Rank.SUPERVISOR
    return Rank.ADMIN
