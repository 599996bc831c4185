"""How any twin's dials are turned: some of them at a time, and every fault of a change is told."""

from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from schemas.errors import InputError

D = TypeVar("D", bound=BaseModel)


def turned(dials: D, changes: object) -> D:
    """Give the dials with some of them turned.

    Raises:
        InputError: at least one change is wrong; every fault is listed and nothing is turned.
    """
    if not isinstance(changes, dict):
        raise InputError(["the body must be a JSON object of dials"])
    merged = {**dials.model_dump(mode="json"), **changes}
    try:
        return type(dials).model_validate_json(orjson.dumps(merged))
    except ValidationError as error:
        raise InputError(faults_of(error)) from None


def faults_of(error: ValidationError) -> list[str]:
    """Write each fault as one sentence with the place where it stands."""
    return [f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
