"""Where a request meets a device: transport rule, login, faults, function, latency, and the counts of it all."""

import asyncio
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from services.sandbox.twon import gate
from services.sandbox.twon.calls import Call
from services.sandbox.twon.device import Device
from services.sandbox.twon.dials import Deed, Strike
from services.sandbox.twon.envelope import Answer, ApiError, negative, positive
from services.sandbox.twon.functions import RESTART, carry_out

_PAGE: Final = b"<!DOCTYPE html><html><head><title>2N</title></head><body>Login</body></html>"
_AFTER: Final = frozenset({Deed.CUT_AFTER, Deed.MUTE_AFTER, Deed.REBOOT_AFTER})


class Ending(Enum):
    """What becomes of the connection."""

    STAYS = auto()
    CUT = auto()
    MUTE = auto()
    REBOOT = auto()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request comes to: an answer or none, and what follows."""

    answer: Answer | None
    ending: Ending = Ending.STAYS


_ENDINGS: Final = {
    Deed.CUT: Ending.CUT,
    Deed.CUT_AFTER: Ending.CUT,
    Deed.MUTE: Ending.MUTE,
    Deed.MUTE_AFTER: Ending.MUTE,
    Deed.REBOOT: Ending.REBOOT,
    Deed.REBOOT_AFTER: Ending.REBOOT,
}


async def serve(device: Device, call: Call) -> Reply:
    """Answer one request of a device, or not, as its dials are."""
    tally = device.tally
    with tally.serving(f"{call.method} {call.path}"):
        reply, name = await _handled(device, call)
        tally.outcomes[name] += 1
        if device.dials.latency_ms:
            with tally.holding():
                await asyncio.sleep(device.dials.latency_ms / 1000)
        return reply


async def _handled(device: Device, call: Call) -> tuple[Reply, str]:
    refusal = _not_let_in(device, call)
    if refusal is not None:
        return Reply(refusal), refusal.outcome
    device.tally.puts += call.method == "PUT"
    strike = device.strikes.next(call.method, call.path)
    if strike is not None:
        return await _struck(device, call, strike), str(strike.do)
    answer = await _answered(device, call)
    reboots = call.path == RESTART and answer.outcome == "ok"
    return Reply(answer, Ending.REBOOT if reboots else Ending.STAYS), answer.outcome


def _not_let_in(device: Device, call: Call) -> Answer | None:
    if device.dials.https_required and not call.secure:
        return negative(ApiError(7))
    return gate.turned_away(device, call)


async def _answered(device: Device, call: Call) -> Answer:
    try:
        return positive(await carry_out(device, call))
    except ApiError as error:
        return negative(error)


async def _struck(device: Device, call: Call, strike: Strike) -> Reply:
    if strike.do in _AFTER:
        await _answered(device, call)
    if strike.do in _ENDINGS:
        return Reply(None, _ENDINGS[strike.do])
    if strike.do is Deed.TEXT:
        return Reply(replace(await _answered(device, call), content_type="text/plain"))
    return Reply(_uncarried(device, strike))


def _uncarried(device: Device, strike: Strike) -> Answer:
    if strike.do is Deed.HTML:
        return Answer(body=_PAGE, content_type="text/html")
    if strike.do is Deed.FORGET:
        return positive()
    return gate.stale(device) if strike.do is Deed.STALE else negative(ApiError(strike.code))
