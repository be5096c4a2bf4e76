"""A DAG whose first task waits until the gate is open: for runs that are already queued.

seamwatch's own action `airflow` pauses the DAG; a pause does not hold runs that have begun. This
task does: put it before whatever must not run while the pipeline is halted. Airflow 2.4 or later.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime, timedelta, timezone
from urllib.request import Request, urlopen

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

log = logging.getLogger(__name__)

URL = os.environ.get("SEAMWATCH_URL", "http://127.0.0.1:10064")
PIPELINE = os.environ.get("SEAMWATCH_PIPELINE", "support-answers")


def gate_is_open() -> bool:
    """Ask the gate; an answer that does not come is an error, and the task is tried again."""
    request = Request(f"{URL}/v1/gates/{PIPELINE}/decision")
    if token := os.environ.get("SEAMWATCH_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    with urlopen(request, timeout=10) as answer:
        said = json.load(answer)
    log.info("gate of %s: %s (%s) %s", PIPELINE, said["decision"], said["state"], said["reason"])
    return said["decision"] == "allow"


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False)
def refresh_answers():
    """Refresh what the answers are made of, but not while they are halted."""

    @task.sensor(
        poke_interval=60,
        timeout=24 * 3600,
        mode="reschedule",
        retries=10,
        retry_delay=timedelta(minutes=1),
    )
    def gate() -> bool:
        return gate_is_open()

    @task
    def refresh() -> None:
        log.info("only while the gate is open")

    gate() >> refresh()


refresh_answers()
