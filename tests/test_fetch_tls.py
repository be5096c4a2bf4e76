"""Over TLS, fetch trusts who the configuration says and nobody else, and says why it does not."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from certificates import Authority, Pair
from hostile import Hostile, says, sends
from seamwatch.config.reach import HttpTarget
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Endpoint, Fetcher


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def endpoint(url: str, **tls: Any) -> Endpoint:
    return Endpoint(HttpTarget.model_validate({"url": url, "tls": tls}))


async def failure(fetcher: Fetcher, at: Endpoint) -> ReadError:
    with pytest.raises(ReadError) as caught:
        await fetcher.fetch(at, timeout=5)
    return caught.value


async def test_a_certificate_of_the_named_authority_is_trusted(
    fetcher: Fetcher, authority: Authority
) -> None:
    async with serving(authority.signs("127.0.0.1").server_context()) as url:
        assert (await fetcher.fetch(endpoint(url, ca_file=authority.ca), timeout=5)).status == 200


async def test_an_unknown_authority_is_not_trusted(fetcher: Fetcher, authority: Authority) -> None:
    async with serving(authority.signs("127.0.0.1").server_context()) as url:
        error = await failure(fetcher, Endpoint(HttpTarget(url=url)))
    assert error.reason is Reason.TLS
    assert "TLS failed (unable to get local issuer certificate)" in str(error)


async def test_a_certificate_for_another_name_is_not_trusted(
    fetcher: Fetcher, authority: Authority
) -> None:
    async with serving(authority.signs("elsewhere.example").server_context()) as url:
        error = await failure(fetcher, endpoint(url, ca_file=authority.ca))
        assert error.reason is Reason.TLS
        assert "127.0.0.1" in str(error)
        named = endpoint(url, ca_file=authority.ca, server_name="elsewhere.example")
        assert (await fetcher.fetch(named, timeout=5)).status == 200


async def test_an_expired_certificate_is_not_trusted(
    fetcher: Fetcher, authority: Authority
) -> None:
    async with serving(authority.signs("127.0.0.1", expired=True).server_context()) as url:
        error = await failure(fetcher, endpoint(url, ca_file=authority.ca))
    assert (error.reason, "certificate has expired" in str(error)) == (Reason.TLS, True)


async def test_insecure_skip_verify_trusts_anybody(fetcher: Fetcher, authority: Authority) -> None:
    async with serving(authority.signs("elsewhere.example").server_context()) as url:
        at = endpoint(url, insecure_skip_verify=True)
        assert (await fetcher.fetch(at, timeout=5)).status == 200


async def test_a_plain_port_is_a_tls_failure(fetcher: Fetcher) -> None:
    async with Hostile(greets=sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        url = server.url.replace("http", "https")
        error = await failure(fetcher, Endpoint(HttpTarget(url=url)))
    assert (error.reason, "wrong version number" in str(error)) == (Reason.TLS, True)


async def test_a_handshake_that_hangs_ends_at_the_timeout(fetcher: Fetcher) -> None:
    async with Hostile() as server:
        url = server.url.replace("http", "https")
        with pytest.raises(ReadError) as caught:
            await fetcher.fetch(Endpoint(HttpTarget(url=url)), timeout=0.3)
    assert caught.value.reason is Reason.TIMEOUT
    assert "while connecting" in str(caught.value)


async def test_a_server_that_wants_a_client_certificate_gets_it(
    fetcher: Fetcher, authority: Authority, stranger: Authority
) -> None:
    context = authority.signs("127.0.0.1").server_context(clients_of=authority.ca)

    def identity(pair: Pair) -> dict[str, str]:
        return {"ca_file": authority.ca, "cert_file": pair.cert, "key_file": pair.key}

    async with serving(context) as url:
        with_certificate = endpoint(url, **identity(authority.signs("exporter")))
        assert (await fetcher.fetch(with_certificate, timeout=5)).status == 200
        without = await failure(fetcher, endpoint(url, ca_file=authority.ca))
        strange = await failure(fetcher, endpoint(url, **identity(stranger.signs("exporter"))))
    for error in (without, strange):  # the alert is told only where it comes before the end
        assert error.reason in (Reason.TLS, Reason.UNREACHABLE)
        assert "certificate" in str(error) or "unknown ca" in str(error)


async def test_renewed_files_are_used_without_a_restart(
    fetcher: Fetcher, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    shutil.copy(stranger.ca, file)
    async with serving(authority.signs("127.0.0.1").server_context()) as url:
        at = endpoint(url, ca_file=str(file))
        assert (await failure(fetcher, at)).reason is Reason.TLS
        renewed = tmp_path / "new.pem"
        shutil.copy(authority.ca, renewed)
        renewed.replace(file)
        assert (await fetcher.fetch(at, timeout=5)).status == 200


@pytest.mark.parametrize("content", [None, b"", b"not a certificate", b"\xff\x00"])
async def test_a_file_that_cannot_be_used_is_named(
    fetcher: Fetcher, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    async with Hostile(says({})) as server:
        url = server.url.replace("http", "https")
        error = await failure(fetcher, endpoint(url, ca_file=str(file)))
        assert server.connections == 0
    assert error.reason is Reason.TLS
    assert f"{file} cannot be used for TLS: " in str(error)


async def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(
    fetcher: Fetcher, authority: Authority
) -> None:
    pair = authority.signs("locked", passphrase=b"passphrase")
    at = endpoint("https://127.0.0.1:1", cert_file=pair.cert, key_file=pair.key)
    async with asyncio.timeout(5):
        error = await failure(fetcher, at)
    assert error.reason is Reason.TLS
