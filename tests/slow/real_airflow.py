"""A real Airflow 3 is halted and let go again, and answers as the contract of the tests does.

1.5 GB of memory; `make test-slow` runs it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real import call, program, until

from contracts_airflow import Airflow3
from contracts_serving import order, served
from ports import free_port
from seamwatch.actions import Target, build
from seamwatch.config.actions import ActionSection
from seamwatch.fetch import Fetcher, Rejected

DAGS = """
from airflow.sdk import DAG

for name in ("index_documents", "nightly_report"):
    with DAG(dag_id=name, schedule=None, is_paused_upon_creation=name == "nightly_report") as dag:
        pass
    globals()[name] = dag
"""
BEFORE = {"index_documents": False, "nightly_report": True}
EXPIRY = 2  # seconds that a token is good for


@dataclass
class Airflow:
    url: str
    passwords: dict[str, str]

    def token(self, user: str = "admin") -> str:
        login = {"username": user, "password": self.passwords[user]}
        _, found = call("POST", f"{self.url}/auth/token", login)
        token: str = found["access_token"]
        return token

    def dags(self, **paused: bool) -> dict[str, bool]:
        """Return how the DAGs are, once *paused* is done, as somebody in the interface does it."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        for dag, value in paused.items():
            url = f"{self.url}/api/v2/dags/{dag}?update_mask=is_paused"
            assert call("PATCH", url, {"is_paused": value}, headers=headers)[0] == 200
        _, found = call("GET", f"{self.url}/api/v2/dags", headers=headers)
        return {dag["dag_id"]: dag["is_paused"] for dag in (found or {}).get("dags", ())}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home, port = tmp_path_factory.mktemp("airflow"), free_port()
    (home / "dags").mkdir()
    (home / "dags" / "two.py").write_text(DAGS)
    url = f"http://127.0.0.1:{port}"
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_EXPIRATION_TIME": str(EXPIRY),
        "AIRFLOW__API_AUTH__JWT_LEEWAY": "0",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
    }
    file = home / "simple_auth_manager_passwords.json.generated"
    with program("airflow", "airflow", "standalone", folder=home, settings=settings) as process:
        until(lambda: call("GET", f"{url}/api/v2/version")[0] == 200, process, home)
        until(file.exists, process, home)
        made = Airflow(url, json.loads(Path(file).read_text()))
        until(lambda: made.dags() == BEFORE, process, home)
        yield made


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def target(fetcher: Fetcher, airflow: Airflow, **settings: Any) -> Target:
    login = {"username": "admin", "password": airflow.passwords["admin"]}
    given = {"url": airflow.url, "dags": list(BEFORE), **login, **settings}
    return build(ActionSection.model_validate({"airflow": given, "timeout": "30s"}), fetcher)


async def test_a_halt_pauses_what_ran_and_its_end_lets_only_that_run(
    fetcher: Fetcher, airflow: Airflow
) -> None:
    dags = target(fetcher, airflow)
    memory = await dags.look(order("halted"))
    assert memory == {"paused": BEFORE}
    halt = order("halted", memory)
    assert await dags.stands(halt) is False
    await dags.apply(halt)
    assert airflow.dags() == {"index_documents": True, "nightly_report": True}
    assert await dags.stands(halt) is True
    airflow.dags(index_documents=False)
    assert await dags.stands(halt) is False
    await dags.apply(halt)
    assert await dags.stands(halt) is True
    resume = order("running", memory, generation=8)
    await dags.apply(resume)
    assert airflow.dags() == BEFORE
    assert await dags.stands(resume) is True


async def test_a_token_that_has_expired_is_replaced(fetcher: Fetcher, airflow: Airflow) -> None:
    dags = target(fetcher, airflow)
    await dags.look(order("halted"))
    assert await asyncio.to_thread(_expired, airflow.url, airflow.token()) == "Token Expired"
    assert await dags.look(order("halted")) == {"paused": BEFORE}


def _expired(url: str, token: str) -> object:
    """Return what the server says once *token* is no good; its clock is not ours to set."""
    for _ in range(50 * EXPIRY):
        request = ("GET", "/api/v2/dags/index_documents", None)
        status, said = _status(url, "admin", token, *request)
        if status == 401:
            return said
        time.sleep(0.2)
    return f"{status} for ever"


async def test_a_wrong_password_is_named(fetcher: Fetcher, airflow: Airflow) -> None:
    said = "no token for user 'admin': .*401: Invalid credentials; check username and password"
    with pytest.raises(Rejected, match=said) as caught:
        await target(fetcher, airflow, password="wrong-horse").apply(order("halted"))
    assert "wrong-horse" not in str(caught.value)
    assert airflow.dags() == BEFORE


async def test_a_user_who_may_only_look_is_told(fetcher: Fetcher, airflow: Airflow) -> None:
    viewer = {"username": "viewer", "password": airflow.passwords["viewer"]}
    dags = target(fetcher, airflow, **viewer)
    assert await dags.look(order("halted")) == {"paused": BEFORE}
    with pytest.raises(Rejected, match="answered 403: Forbidden"):
        await dags.apply(order("halted"))
    assert airflow.dags() == BEFORE


async def test_an_unknown_dag_is_named_and_the_others_are_paused(
    fetcher: Fetcher, airflow: Airflow
) -> None:
    dags = target(fetcher, airflow, dags=["gone", "index_documents"])
    with pytest.raises(Rejected, match="1 of 2 failed: there is no DAG 'gone'"):
        await dags.apply(order("halted"))
    assert airflow.dags(index_documents=False) == BEFORE


REQUESTS: list[tuple[str, str, Any]] = [
    # method, path, document; a text is sent as text/plain
    ("GET", "/api/v1/version", None),
    ("GET", "/api/v2/dags/index_documents", None),
    ("GET", "/api/v2/dags/gone", None),
    ("PUT", "/api/v2/dags/index_documents", {"is_paused": True}),
    ("PATCH", "/api/v2/dags/gone?update_mask=is_paused", {"is_paused": True}),
    ("PATCH", "/api/v2/dags/index_documents?update_mask=is_paused", {"is_paused": False}),
    ("PATCH", "/api/v2/dags/index_documents?update_mask=is_paused", '{"is_paused": true}'),
    ("PATCH", "/api/v2/dags/index_documents?update_mask=is_paused", {"is_paused": "perhaps"}),
    ("PATCH", "/api/v2/dags/index_documents?update_mask=is_paused", {}),
    ("PATCH", "/api/v2/dags/index_documents?update_mask=is_paused", {"is_paused": True, "x": 1}),
    ("PATCH", "/api/v2/dags/index_documents?update_mask=tags", {"is_paused": False}),
    ("PUT", "/auth/token", {"username": "admin", "password": "wrong"}),
    ("POST", "/auth/token", {"username": "admin", "password": "wrong"}),
    ("POST", "/auth/token", {"username": "admin"}),
    ("POST", "/auth/token", {"username": "admin", "password": "wrong", "x": 1}),
    ("POST", "/auth/token", '{"username": "admin", "password": "wrong"}'),
]


async def test_the_contract_that_the_other_tests_hold_is_the_real_one(airflow: Airflow) -> None:
    contract = Airflow3(dags=dict(BEFORE))
    contract.tokens = {"admin": "ok", "viewer": "viewer"}
    real, recorded = {}, {}
    async with served(contract):
        for user in ("nobody", "rubbish", "viewer", "admin"):
            for request in REQUESTS:
                known = user in airflow.passwords
                token = airflow.token(user) if known else user
                key = (user, *map(str, request))
                real[key] = await asyncio.to_thread(_status, airflow.url, user, token, *request)
                recorded[key] = await asyncio.to_thread(_status, contract.url, user, user, *request)
    assert recorded == real
    assert airflow.dags() == BEFORE


def _status(
    url: str, user: str, token: str, method: str, path: str, document: Any
) -> tuple[int, Any]:
    headers = {} if user == "nobody" else {"Authorization": f"Bearer {token}"}
    body = document.encode() if isinstance(document, str) else None
    sent = None if body is not None else document
    status, found = call(method, f"{url}{path}", sent, body=body, headers=headers)
    said = found.get("detail") if isinstance(found, dict) else None
    return status, said if isinstance(said, str) and status != 422 else None
