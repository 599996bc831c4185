"""Root CAs as targets of jobs: how such a target is named, and which operations take one.

Source: Security Services REST APIs 1.1.29, ``/ztp/rootca/create``: a name has at most 45 letters, digits, underscores,
dashes and dots.
"""

from typing import Final

ROOT_CA: Final = "rootca:"
"""How the target of an operation on a root CA begins; its name follows."""

CA_NAME: Final = r"^[A-Za-z0-9_.-]{1,45}$"

ON_ROOT_CAS: Final = frozenset({"ublox.roll_root_ca"})
"""Operations of u-blox that work on root CAs, not on devices."""


def ca_of(target: str) -> str | None:
    """The root CA that a target names; None where it names something else."""
    return target.removeprefix(ROOT_CA) if target.startswith(ROOT_CA) else None
