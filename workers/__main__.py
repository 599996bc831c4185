"""``python -m workers worker QUEUE…`` and ``… beat``: what `keyturn worker` and `keyturn beat` become."""

import os
import sys

from infra.broker import QUEUES
from infra.logs import configure_logs
from infra.sentry import configure_sentry
from infra.settings import load_settings
from schemas.errors import ConfigurationError, KeyturnError
from workers.app import run_beat, run_worker


def main(words: list[str]) -> int:
    """Run the part that the words name; give the exit code."""
    os.umask(0o077)  # as in services.cli.main
    try:
        settings = load_settings()
        configure_logs(settings)
        configure_sentry(settings)
        if words == ["beat"]:
            run_beat(settings)
        elif words[:1] == ["worker"]:
            run_worker(settings, _queues(words[1:]))
        else:
            raise ConfigurationError("expected: worker QUEUE… or beat")
    except KeyturnError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line prints
        return 2
    return 0


def _queues(names: list[str]) -> list[str]:
    unknown = sorted(set(names) - set(QUEUES))
    if unknown or not names:
        raise ConfigurationError(f"queues are {', '.join(QUEUES)}; not {', '.join(unknown) or 'none'}")
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
