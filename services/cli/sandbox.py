"""``keyturn sandbox``: a twin of an outside system, to try Keyturn against."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from services.sandbox.server import Address
    from services.sandbox.tap.fleet import Fleet
    from services.sandbox.twon.park import Park

Firmware = Literal["2.49", "2.50", "mixed"]
Algorithm = Literal["md5", "sha-256", "mixed"]
Auth = Literal["digest", "basic", "none"]

app = typer.Typer(no_args_is_help=True, help="Twins of the outside systems, over real sockets, with fault dials.")


@app.callback()
def sandbox() -> None:
    """Twins of the outside systems, over real sockets, with fault dials."""


@app.command()
def ublox(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port and prints it.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    devices: Annotated[int, typer.Option(min=0, max=100_000, help="Devices to begin with.")] = 0,
    heartbeat: Annotated[float, typer.Option(min=0.01, help="Seconds between two heartbeats.")] = 2.0,
    virtual_clock: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time stands still here until POST /_twin/clock moves it.")
    ] = None,
) -> None:
    """Run a twin of u-blox Security Services until it is stopped."""
    from services.sandbox.server import serve
    from services.sandbox.ublox.app import build
    from services.sandbox.ublox.clock import VirtualClock, utc_now
    from services.sandbox.ublox.dials import Dials
    from services.sandbox.ublox.recruits import Recruits
    from services.sandbox.ublox.twin import Twin

    clock = utc_now if virtual_clock is None else VirtualClock(_moment(virtual_clock))
    twin = Twin(dials=Dials(heartbeat_seconds=heartbeat), clock=clock)
    if devices:
        twin.recruit(Recruits(count=devices))
    with _telling_where(host, port):
        serve(build(twin), host=host, port=port, ready=_print_ready)


@app.command()
def tap(  # noqa: PLR0913 - a command line has as many options as it has
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port of the first Tap; 0 takes free ones.")] = 2000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    count: Annotated[int, typer.Option(min=1, max=5000, help="Taps; ports and serial numbers count up.")] = 1,
    serial: Annotated[str, typer.Option(help="Serial number of the first Tap.")] = "IOTZ00000000000042",
    firmware: Annotated[str, typer.Option(help="Below 1.85 there are no initialization vectors.")] = "1.113",
    scram: Annotated[bool, typer.Option(help="Off: logins bring a hashed password.")] = True,
    configured: Annotated[bool, typer.Option(help="Off: as delivered, open to all, without a technician.")] = True,
    iterations: Annotated[int, typer.Option(min=1, max=65535, help="Hash iterations of the first users.")] = 5000,
    mqtt: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The broker of the relay.")] = None,
    broker: Annotated[int | None, typer.Option(min=0, max=65535, help="Start a broker of its own here.")] = None,
    net_key: Annotated[str, typer.Option(help="Net key of the relay.")] = "testnetkey",
    dials: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port of dials, counts and state.")] = 0,
) -> None:
    """Run a twin of one IoTize Tap, or of many, until it is stopped: admin/admin, supervisor/supervisor, tech/tech."""
    from services.sandbox.server import serve
    from services.sandbox.tap.app import build
    from services.sandbox.tap.factory import MASTERS, STAFF, Broker, Factory
    from services.sandbox.tap.fleet import Fleet

    users = STAFF if configured else MASTERS
    address = ("", 0) if mqtt is None else _split(mqtt)
    relay = Broker(*address, net_key=net_key)
    factory = Factory(
        serial=serial,
        firmware=firmware,
        configured=configured,
        scram=scram,
        iterations=iterations,
        users=users,
        broker=None if mqtt is None and broker is None else relay,
    )
    with _telling_where(host, port):
        fleet = Fleet(factory, count=count, host=host, port=port, broker_port=broker)
        serve(build(fleet), host=host, port=dials, ready=lambda address: _print_taps(fleet, address))


@app.command()
def centagate(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port and prints it.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    users: Annotated[int, typer.Option(min=0, max=9999, help="Users and free hardware tokens to begin with.")] = 0,
) -> None:
    """Run a twin of a CENTAGATE server until it is stopped: sandbox-admin/sandbox-password.

    The keys that sign its login are sandbox-integration-key and sandbox-secret-key; users are user-0001 and so on,
    with phone +999000000001 and hardware token SN00000001.
    """
    from services.sandbox.centagate.app import build
    from services.sandbox.centagate.twin import Twin
    from services.sandbox.server import serve

    with _telling_where(host, port):
        serve(build(Twin(users=users)), host=host, port=port, ready=_print_centagate)


def _print_centagate(address: "Address") -> None:
    from services.sandbox.centagate.endpoints import BASE_PATH
    from services.sandbox.centagate.twin import ADMIN_USERNAME

    api, dials = f"{address.url}{BASE_PATH}", f"{address.url}/_twin/dials"
    typer.echo(f"CENTAGATE twin ready: API {api}  admin {ADMIN_USERNAME}  dials {dials}")


@app.command()
def twon(  # noqa: PLR0913 - a command line has as many options as it has
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the first device; 0 takes free ones.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    devices: Annotated[int, typer.Option(min=1, max=5000, help="Devices; ports and serial numbers count up.")] = 1,
    serial: Annotated[str, typer.Option(help="Serial number of the first device.")] = "54-1046-0745",
    location: Annotated[str, typer.Option(help="All are of this location; else each is of its own.")] = "",
    location_size: Annotated[int, typer.Option(min=0, help="So many are of a location, whose names count up.")] = 0,
    https: Annotated[bool, typer.Option("--https", help="HTTPS with self-signed certificates.")] = False,
    firmware: Annotated[Firmware, typer.Option(help="From 2.50 on private keys are not read back.")] = "2.50",
    algorithm: Annotated[Algorithm, typer.Option(help="Hash of the Digest login.")] = "md5",
    auth: Annotated[Auth, typer.Option(help="How the API lets in.")] = "digest",
    keys: Annotated[int, typer.Option(min=0, max=4, help="Keys of a location to begin with.")] = 1,
    dials: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port of dials, counts, state, phones.")] = 0,
) -> None:
    """Run a twin of one 2N access device, or of many, until it is stopped: account admin, password 2n."""
    from schemas.errors import InputError
    from services.sandbox.server import serve
    from services.sandbox.twon.app import build
    from services.sandbox.twon.factory import Factory
    from services.sandbox.twon.park import Park

    factory = Factory(
        devices=devices,
        serial=serial,
        location=location,
        location_size=location_size,
        firmware=firmware,
        algorithm=algorithm,
        auth=auth,
        keys=keys,
    )
    with _telling_where(host, port):
        try:
            park = Park(factory.models(), host=host, port=port, https=https)
        except InputError as error:
            raise typer.BadParameter("; ".join(error.faults)) from None
        serve(build(park), host=host, port=dials, ready=lambda address: _print_twon(park, address))


@contextmanager
def _telling_where(host: str, port: int) -> "Iterator[None]":
    """Say where a twin could not listen."""
    try:
        yield
    except OSError as error:
        typer.echo(f"The twin cannot listen on {host} port {port}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None


def _moment(text: str) -> "datetime":
    from schemas.events import parse_timestamp

    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--virtual-clock") from None


def _split(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise typer.BadParameter(f"{address!r} is not HOST:PORT", param_hint="--mqtt")
    return host.strip("[]"), int(port)


def _print_taps(fleet: "Fleet", address: "Address") -> None:
    first, last = fleet.taps[0], fleet.taps[-1]
    tcp, serials = f"{first.tcp.host}:{first.tcp.port}", first.serial
    if first is not last:
        tcp, serials = f"{tcp} to {last.tcp.port}", f"{serials} to {last.serial}"
    relay = f"  relay mqtt://{first.relay.settings.host}:{first.relay.settings.port}" if first.relay else ""
    typer.echo(f"Tap twin ready: TCP {tcp}  serial {serials}{relay}  dials {address.url}/_twin/dials")


def _print_twon(park: "Park", address: "Address") -> None:
    first, last = park.stations[0], park.stations[-1]
    where, serials = first.url, first.device.serial
    if first is not last:
        where, serials = f"{where} to {last.port}", f"{serials} to {last.device.serial}"
    locations = list(dict.fromkeys(station.device.location for station in park.stations))
    place = f"location {locations[0]}" + (f" to {locations[-1]}" if len(locations) > 1 else "")
    seal = f"  fingerprint {first.identity.fingerprint}" if first.identity else ""
    account = f"account {first.device.model.user} ({first.device.model.auth})"
    typer.echo(f"2N twin ready: {where}  serial {serials}  {place}  {account}{seal}  dials {address.url}/_twin/dials")


def _print_ready(address: "Address") -> None:
    typer.echo(f"u-blox twin ready: API {address.url}/v1  dials {address.url}/_twin/dials")


if __name__ == "__main__":
    app()
