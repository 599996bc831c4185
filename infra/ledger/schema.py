"""Brings a database to the newest schema, and tells when it is not there."""

from pathlib import Path
from typing import Final

from sqlalchemy import inspect, text

from infra.ledger.engine import Database
from schemas.errors import ConfigurationError

MIGRATIONS: Final = Path(__file__).resolve().parent.parent / "migrations"

HEAD: Final = "0005"
"""The newest migration; a constant, so that a process can check it without loading Alembic."""


def migrate(database: Database) -> None:
    """Run every migration that is missing, in one transaction; harmless when none is, and when two do it at once."""
    from alembic import command  # noqa: PLC0415 - a third of a second that only this command should pay
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_schema(database: Database) -> None:
    """Refuse a database whose schema is not the one that this code was written for.

    Raises:
        ConfigurationError: it is older, newer or empty; the text says what to do.
    """
    with database.reading() as connection:
        found = None
        if inspect(connection).has_table("alembic_version"):
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if found != HEAD:
        raise ConfigurationError(
            f"the ledger's schema is {found or 'empty'}, this version of Keyturn needs {HEAD}: run 'keyturn migrate'"
        )
