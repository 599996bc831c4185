"""The common way: FastAPI checks the header and calls ``task.delay()`` in the handler; a Celery worker counts."""

import hmac
import os
import threading
import time
from typing import Annotated, Any

import redis
from celery import Celery, signals
from fastapi import FastAPI, Header, HTTPException

REDIS_URL = os.environ["BENCH_REDIS_URL"]
TOKEN = os.environ["BENCH_TOKEN"]
COUNTER = os.environ["BENCH_COUNTER"]
READY = os.environ["BENCH_WORKER_READY"]
FLUSH_SECONDS = 0.02

celery = Celery("delay", broker=REDIS_URL)
celery.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)

app = FastAPI()
handled: list[None] = []


@celery.task  # type: ignore[untyped-decorator]
def handle(_body: dict[str, Any]) -> None:
    """Count one notification."""
    handled.append(None)


@app.post("/webhooks/ublox", status_code=202)
async def hook(body: dict[str, Any], authorization: Annotated[str, Header()]) -> dict[str, str]:
    """Check the header and hand the notification to Celery; async, which was quicker here than a plain ``def``."""
    if not hmac.compare_digest(authorization.encode(), TOKEN.encode()):
        raise HTTPException(status_code=401)
    return {"receipt": handle.delay(body).id}


@app.get("/readyz")
def ready() -> str:
    """Say that the server is up."""
    return "ready"


def publish_count() -> None:
    """Write the count of this process to Redis fifty times a second, as the other peer does."""
    client = redis.Redis.from_url(REDIS_URL)
    published = 0
    while True:
        time.sleep(FLUSH_SECONDS)
        count = len(handled)
        if count > published:
            client.incrby(COUNTER, count - published)
            published = count


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def start_counting(**_: object) -> None:
    """Begin to publish in every child process."""
    threading.Thread(target=publish_count, daemon=True).start()


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def announce(**_: object) -> None:
    """Tell the bench that the worker takes work."""
    redis.Redis.from_url(REDIS_URL).set(READY, 1)
