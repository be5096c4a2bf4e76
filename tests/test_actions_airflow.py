"""Airflow's DAGs are paused and let go again, and nothing is let go that had not been running.

The servers hold the contracts of Airflow 3.3 (recorded) and Airflow 2 (from its document).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from contracts_airflow import Airflow2, Airflow3
from contracts_serving import Contract, order, served
from ports import free_port
from seamwatch.actions import Target, build
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher, Rejected

LOGIN = {"username": "admin", "password": "correct horse"}
DAGS = {"index documents": False, "nightly": True}


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def target(fetcher: Fetcher, url: str, timeout: str = "5s", **settings: Any) -> Target:
    given = {"url": url, "dags": list(DAGS), **(settings or LOGIN)}
    return build(ActionSection.model_validate({"airflow": given, "timeout": timeout}), fetcher)


def servers() -> list[Any]:
    return [Airflow3(dags=dict(DAGS)), Airflow2(dags=dict(DAGS))]


@pytest.mark.parametrize("server", servers(), ids=["airflow3", "airflow2"])
async def test_what_was_paused_before_the_halt_stays_paused_when_it_ends(
    fetcher: Fetcher, server: Any
) -> None:
    async with served(server):
        airflow = target(fetcher, server.url)
        memory = await airflow.look(order("halted"))
        assert memory == {"paused": DAGS}
        halt = order("halted", memory)
        assert await airflow.stands(halt) is False
        for _ in range(2):
            await airflow.apply(halt)
            assert server.dags == {"index documents": True, "nightly": True}
            assert await airflow.stands(halt) is True
        server.dags["index documents"] = False  # somebody lets it go
        assert await airflow.stands(halt) is False
        await airflow.apply(halt)
        resume = order("running", memory, generation=8)
        assert await airflow.stands(resume) is False
        for _ in range(2):
            await airflow.apply(resume)
            assert server.dags == DAGS
            assert await airflow.stands(resume) is True
    asked = [request for request in server.asked if request.endswith("version")]
    assert asked == sorted(set(asked), reverse=True)  # each version asked for once


async def test_a_second_look_keeps_what_was_there_before_the_halt(fetcher: Fetcher) -> None:
    server = Airflow3(dags=dict(DAGS))
    async with served(server):
        airflow = target(fetcher, server.url)
        memory = await airflow.look(order("halted"))
        await airflow.apply(order("halted", memory))
        assert await airflow.look(order("halted", memory, generation=9)) == memory


async def test_one_token_serves_all_dags_and_an_expired_one_is_replaced_once(
    fetcher: Fetcher,
) -> None:
    server = Airflow3(dags={f"dag-{number}": False for number in range(40)})
    async with served(server):
        airflow = target(fetcher, server.url, dags=list(server.dags), **LOGIN)
        await airflow.apply(order("halted"))
        assert server.given == 1
        server.tokens = dict.fromkeys(server.tokens, "expired")
        assert await airflow.stands(order("halted")) is True
        assert server.given == 2
        server.tokens.clear()  # it was restarted, with another key: 403, not 401
        assert await airflow.stands(order("halted")) is True
        assert server.given == 3


async def test_a_user_who_may_not_pause_is_refused_without_asking_for_ever(
    fetcher: Fetcher,
) -> None:
    server = Airflow3(dags=dict(DAGS), grant="viewer")
    async with served(server):
        airflow = target(fetcher, server.url)
        for given in (1, 2):
            with pytest.raises(Rejected, match="answered 403: Forbidden") as caught:
                await airflow.apply(order("halted"))
            assert caught.value.status == 403
            assert server.given == given
    assert server.dags == DAGS


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Airflow3(dags=dict(DAGS)), "no token for user 'admin': .*401: Invalid credentials"),
        (Airflow2(dags=dict(DAGS)), "answered 401: Unauthorized"),
    ],
    ids=["airflow3", "airflow2"],
)
async def test_a_wrong_password_is_named_and_never_shown(
    fetcher: Fetcher, server: Any, said: str
) -> None:
    async with served(server):
        airflow = target(fetcher, server.url, username="admin", password="wrong-horse")
        with pytest.raises(Rejected, match=said) as caught:
            await airflow.look(order("halted"))
    assert (caught.value.status, caught.value.reason) == (401, Reason.UNAUTHORIZED)
    assert "wrong-horse" not in repr(caught.value)


async def test_a_password_that_the_server_echoes_is_blotted_out(fetcher: Fetcher) -> None:
    async with served(server := Echo()):
        airflow = target(fetcher, server.url, version="3", **LOGIN)
        with pytest.raises(Rejected, match="answered 422: input_value=") as caught:
            await airflow.look(order("halted"))
    assert "correct horse" not in str(caught.value)


async def test_the_password_of_a_file_is_read_again_for_each_token(
    fetcher: Fetcher, tmp_path: Path
) -> None:
    server = Airflow3(dags=dict(DAGS))
    file = tmp_path / "password"
    file.write_text("old\n")
    async with served(server):
        airflow = target(fetcher, server.url, username="admin", password_file=str(file))
        with pytest.raises(Rejected, match="Invalid credentials"):
            await airflow.look(order("halted"))
        file.write_text("correct horse\n")
        assert await airflow.look(order("halted")) == {"paused": DAGS}


async def test_a_token_of_the_configuration_is_sent_as_it_is(fetcher: Fetcher) -> None:
    server = Airflow3(dags=dict(DAGS), tokens={"eyJ.mine": "ok"})
    async with served(server):
        airflow = target(fetcher, server.url, bearer_token="eyJ.mine")
        await airflow.apply(order("halted"))
        server.tokens.clear()
        with pytest.raises(Rejected, match="403: Invalid JWT token"):
            await airflow.apply(order("halted"))
    assert server.given == 0


@pytest.mark.parametrize("server", servers(), ids=["airflow3", "airflow2"])
async def test_an_unknown_dag_is_named_and_the_others_are_paused(
    fetcher: Fetcher, server: Any
) -> None:
    async with served(server):
        airflow = target(fetcher, server.url, dags=["gone", *DAGS], **LOGIN)
        with pytest.raises(Rejected, match="1 of 3 failed: there is no DAG 'gone'") as caught:
            await airflow.apply(order("halted"))
        assert caught.value.status == 404
        assert set(server.dags.values()) == {True}
        with pytest.raises(ReadError, match="there is no DAG 'gone'"):
            await airflow.stands(order("halted"))


async def test_what_will_pass_by_itself_counts_more_than_what_is_refused(
    fetcher: Fetcher,
) -> None:
    server = Airflow3(dags=dict(DAGS))
    server.fails["/api/v2/dags/nightly"] = (503, {"Retry-After": "17"})
    async with served(server):
        airflow = target(fetcher, server.url, dags=["gone", *DAGS], **LOGIN)
        with pytest.raises(ReadError, match=r"2 of 3 failed: .*'gone'.*503") as caught:
            await airflow.apply(order("halted"))
    assert (caught.value.reason, caught.value.retry_after) == (Reason.OVERLOADED, 17.0)
    assert server.dags["index documents"] is True


async def test_only_what_is_configured_is_let_go_of_what_is_remembered(fetcher: Fetcher) -> None:
    server = Airflow3(dags={"index documents": True, "nightly": True, "other": True})
    memory = {"paused": {"index documents": False, "other": False}}
    async with served(server):
        airflow = target(fetcher, server.url)
        await airflow.apply(order("running", memory))
        assert server.dags == {"index documents": False, "nightly": True, "other": True}
        server.asked.clear()
        await airflow.apply(order("running"))
        assert await airflow.stands(order("running")) is True
        assert server.asked == []


async def test_a_server_that_is_no_airflow_is_told_from_one_that_is_away(fetcher: Fetcher) -> None:
    async with served(nothing := Nothing()):
        with pytest.raises(ReadError, match="no Airflow answers at /api/v2/version or") as caught:
            await target(fetcher, nothing.url).look(order("halted"))
        assert caught.value.reason is Reason.BAD_CONTRACT
    with pytest.raises(ReadError, match="cannot connect") as caught:
        await target(fetcher, f"http://127.0.0.1:{free_port()}").look(order("halted"))
    assert caught.value.reason is Reason.UNREACHABLE


async def test_another_airflow_at_the_same_address_is_found_at_the_next_try(
    fetcher: Fetcher,
) -> None:
    old, new = servers()[1], servers()[0]
    async with served(old):
        airflow = target(fetcher, old.url)
        await airflow.look(order("halted"))
        old.answer = new.answer  # it was upgraded
        with pytest.raises(Rejected, match="/api/v1 has been removed"):
            await airflow.look(order("halted"))
        assert await airflow.look(order("halted")) == {"paused": DAGS}


async def test_a_request_is_rendered_without_being_sent(fetcher: Fetcher) -> None:
    airflow = target(fetcher, "http://airflow.example:8080", version="2", **LOGIN)
    assert airflow.render(order("halted")).splitlines() == [
        "PATCH http://airflow.example:8080/api/v1/dags/index%20documents?update_mask=is_paused"
        ' {"is_paused":true}',
        "PATCH http://airflow.example:8080/api/v1/dags/nightly?update_mask=is_paused"
        ' {"is_paused":true}',
    ]
    resumed = airflow.render(order("running", {"paused": DAGS}))
    assert resumed.endswith('index%20documents?update_mask=is_paused {"is_paused":false}')
    assert airflow.render(order("running")).startswith("nothing")
    await airflow.close()
    await airflow.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"password": "x"}, "a password without username"),
        ({"username": "x"}, "either password: "),
        ({**LOGIN, "password_file": "/x"}, "either password: "),
        ({**LOGIN, "bearer_token": "x"}, "username excludes"),
    ],
)
def test_half_a_login_is_refused_when_the_file_is_read(settings: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        target(Fetcher(), "http://airflow.example", **settings)


class Echo(Contract):
    """A server that says what it was sent."""

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        return web.json_response({"detail": f"input_value={body.decode()}"}, status=422)


class Nothing(Contract):
    """Somebody else's server."""

    async def answer(self, request: web.Request, body: bytes) -> web.Response:
        return web.json_response({}, status=404)
