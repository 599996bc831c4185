"""The options that every command about one Tap has: where it is, who logs in, how its broker is spoken to."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.cli.tap_visit import Visit

PLACE: Final = "env:NAME, file:PATH or - to be asked"

Address = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="tcp://HOST:PORT or mqtt://BROKER:PORT/SERIAL; mqtts for TLS")
]
User = Annotated[str | None, typer.Option(help="Who logs in; without one only the Tap's open side is seen.")]
Password = Annotated[str | None, typer.Option(metavar="PLACE", help=f"Where the password stands: {PLACE}.")]
Serial = Annotated[str | None, typer.Option(help="The serial number that the Tap must have.")]
Clear = Annotated[bool, typer.Option("--clear", help="Speak in clear with a Tap that has no SCRAM.")]
NetKey = Annotated[str | None, typer.Option(metavar="PLACE", help=f"The relay's net key: {PLACE}.")]
BrokerUser = Annotated[str | None, typer.Option(help="User at the MQTT broker.")]
BrokerPassword = Annotated[str | None, typer.Option(metavar="PLACE", help=f"Password at the broker: {PLACE}.")]
CaFile = Annotated[Path | None, typer.Option(help="Trust only these CAs for mqtts, PEM.")]
Mqtt = Annotated[str, typer.Option(help="Version of MQTT: 3.1.1 or 5.")]


def visiting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the address and the options of a visit; it is called with the visit they describe."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    shared = list(inspect.signature(_visit, eval_str=True).parameters.values())

    @wraps(command)
    def called(**given: Any) -> None:
        visit = _visit(**{parameter.name: given.pop(parameter.name) for parameter in shared})
        command(visit, **given)

    together = [shared[0], *own, *shared[1:]]
    signature = inspect.Signature([one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in together])
    called.__signature__ = signature  # type: ignore[attr-defined] # what typer reads
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in together}
    return called


def _visit(  # noqa: PLR0913 - options of a command line
    *,
    address: Address,
    user: User = None,
    password: Password = None,
    serial: Serial = None,
    clear: Clear = False,
    net_key: NetKey = None,
    broker_user: BrokerUser = None,
    broker_password: BrokerPassword = None,
    ca_file: CaFile = None,
    mqtt: Mqtt = "3.1.1",
) -> Visit:
    return Visit(
        address=address,
        user=user,
        password=password,
        serial=serial,
        clear=clear,
        net_key=net_key,
        broker_user=broker_user,
        broker_password=broker_password,
        ca_file=ca_file,
        mqtt=mqtt,
    )
