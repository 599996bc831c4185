"""``keyturn sandbox``: a twin of an outside system, to try Keyturn against."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.sandbox.server import Address

app = typer.Typer(no_args_is_help=True, help="Twins of the outside systems, over real HTTP, with fault dials.")


@app.callback()
def sandbox() -> None:
    """Twins of the outside systems, over real HTTP, with fault dials."""


@app.command()
def ublox(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port and prints it.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    devices: Annotated[int, typer.Option(min=0, max=100_000, help="Devices to begin with.")] = 0,
    heartbeat: Annotated[float, typer.Option(min=0.01, help="Seconds between two heartbeats.")] = 2.0,
) -> None:
    """Run a twin of u-blox Security Services until it is stopped."""
    from services.sandbox.server import serve
    from services.sandbox.ublox.app import build
    from services.sandbox.ublox.dials import Dials
    from services.sandbox.ublox.fleet import Recruits
    from services.sandbox.ublox.twin import Twin

    twin = Twin(dials=Dials(heartbeat_seconds=heartbeat))
    if devices:
        twin.recruit(Recruits(count=devices))
    try:
        serve(build(twin), host=host, port=port, ready=_print_ready)
    except OSError as error:
        typer.echo(f"The twin cannot listen on {host} port {port}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None


def _print_ready(address: "Address") -> None:
    typer.echo(f"u-blox twin ready: API {address.url}/v1  dials {address.url}/_twin/dials")


if __name__ == "__main__":
    app()
