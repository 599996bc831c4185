"""What a Tap remembers: settings and users that survive a restart, and passing values that do not."""

from dataclasses import dataclass, field
from typing import Final

from services.clients.tap.paths import CREATE, GROUP_OBJECT, Path
from services.clients.tap.scram import Verifier
from services.sandbox.tap.factory import ADMIN, ANONYMOUS, DEFAULT_LIFETIME, MASTERS, UNCONFIGURED, Factory, verifier_of

VERSION_PATH: Final = Path(1024, None, 10)
MOST_INSTANCES: Final = 256
"""How many users, bundles or variables a Tap takes before its memory is full."""

MOST_APPENDED: Final = 64 * 1024
"""How long an appended value may grow before the memory is full."""


@dataclass(slots=True)
class Group:
    """A user (notes §10.1). No password is ever kept, only a verifier and the count that it was made with (§8.4)."""

    name: bytes = b""
    verifier: Verifier | None = None
    iterations: int = 1
    lifetime: int = DEFAULT_LIFETIME
    alias: int | None = None


@dataclass(slots=True)
class Memory:
    """The memory of one Tap.

    Attributes:
        stored: bodies as they are read back, by path; they survive a restart.
        passing: what was written "until reboot" (notes §3.4); it hides what is stored until then.
        groups: users by their number.
        instances: bundles and variables that have been created, as object and number.
        configured: whether somebody has closed a configuration since the last factory reset.
        appending: the line and the path of the last write; only its continuation appends (notes §6.2).
    """

    factory: Factory
    stored: dict[Path, bytes] = field(default_factory=dict)
    passing: dict[Path, bytes] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    instances: set[tuple[int, int]] = field(default_factory=set)
    configured: bool = False
    appending: tuple[int, Path] | None = None

    def __post_init__(self) -> None:
        self.begin()

    def read(self, path: Path) -> bytes | None:
        """Give the body of a setting, None where nobody has written one."""
        return self.passing.get(path, self.stored.get(path))

    def text(self, path: Path) -> str:
        """Give a stored setting as text."""
        return self.stored.get(path, b"").decode("latin-1")

    def number(self, path: Path, default: int = 0) -> int:
        """Give a setting as a number."""
        body = self.read(path)
        return default if body is None else int.from_bytes(body, "big")

    def store(self, path: Path, body: bytes) -> None:
        """Keep a body for good; it hides no longer behind a passing one."""
        self.stored[path] = body
        self.passing.pop(path, None)

    def knows(self, path: Path) -> bool:
        """Say whether the instance that a path names exists."""
        if path.instance is None or path.resource == CREATE:
            return True
        if path.object == GROUP_OBJECT:
            return path.instance in self.groups
        return (path.object, path.instance) in self.instances

    def rights_of(self, group: int) -> int:
        """Give the group whose rights a group has: its own, or those of the one that it is an alias of (§10.1)."""
        known = self.groups.get(group)
        return group if known is None or known.alias is None else known.alias

    def named(self, name: str) -> tuple[int, Group] | None:
        """Find a user who may log in by name."""
        if not name:
            return None
        users = ((number, group) for number, group in self.groups.items() if group.verifier is not None)
        return next(((number, group) for number, group in users if group.name.decode("latin-1") == name), None)

    def restart(self) -> None:
        """Forget what was only until the next restart."""
        self.passing.clear()
        self.appending = None

    def factory_reset(self) -> None:
        """Forget everything that anybody has written, users too; the Tap is then open to all (notes §10.3)."""
        self.begin()
        self.stored[VERSION_PATH] = UNCONFIGURED
        self.configured = False
        for number in self.groups.keys() - {ANONYMOUS, *(user.group for user in MASTERS)}:
            del self.groups[number]

    def begin(self) -> None:
        """Hold what the factory put in, and nothing else."""
        self.restart()
        self.stored = self.factory.values()
        self.instances = set()
        self.configured = self.factory.configured
        self.groups = {ANONYMOUS: Group(b"anonymous")}
        iterations = self.factory.iterations
        for user in self.factory.users:
            verifier = verifier_of(user, iterations)
            self.groups[user.group] = Group(user.name.encode("latin-1"), verifier, iterations, user.lifetime)
        self.groups.setdefault(ADMIN, Group(b"admin"))
