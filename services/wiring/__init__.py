"""Makes every tool from the settings, in one place. Nothing opens at import."""

from services.wiring.basics import (
    active_playbook,
    load_active_playbook,
    make_broker,
    now,
    open_ledger,
    open_vault,
    settings_text,
)
from services.wiring.outside import (
    SYSTEMS,
    make_centagate,
    make_taps,
    make_tools,
    make_twon,
    make_ublox,
)
from services.wiring.parts import (
    make_beat,
    make_desk,
    make_performer,
    make_planner,
    make_runner,
)

__all__ = [
    "SYSTEMS",
    "active_playbook",
    "load_active_playbook",
    "make_beat",
    "make_broker",
    "make_centagate",
    "make_desk",
    "make_performer",
    "make_planner",
    "make_runner",
    "make_taps",
    "make_tools",
    "make_twon",
    "make_ublox",
    "now",
    "open_ledger",
    "open_vault",
    "settings_text",
]
