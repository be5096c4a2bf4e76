"""Where the store is: the address, what of it is shown, and a place that cannot be used."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seamwatch.config import load
from seamwatch.errors import Reason, StoreError
from seamwatch.store import Store
from seamwatch.store.address import parse_address

CONFIG = """
teams: {t: {}}
pipelines: {p: {owner: t, stages: {a: {team: t, kind: source, source: {static: {version: "1"}}}}}}
"""


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Make *path* a place where nobody may write, not even root."""
    mounts = [["mount", "--bind", path, path], ["mount", "-o", "remount,ro,bind", path]]
    if os.geteuid() == 0:
        for command in mounts:
            subprocess.run(command, check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", path], check=True)
        return
    path.chmod(0o500)
    try:
        yield
    finally:
        path.chmod(0o700)


@pytest.mark.parametrize("is_there", [False, True])
async def test_a_place_that_may_not_be_written_is_refused_clearly(
    is_there: bool, tmp_path: Path
) -> None:
    home = tmp_path / "state"
    home.mkdir()
    url = f"sqlite:///{home}/seamwatch.db"
    if is_there:
        await (await Store.open(url)).close()
    with read_only(home), pytest.raises(StoreError) as caught:
        await Store.open(url)
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert str(caught.value) == (
        f"store {home}/seamwatch.db: cannot write in {home}; let user {user} write there, or set"
        " `store` to a place where it may, such as sqlite:////var/lib/seamwatch/seamwatch.db"
    )
    assert caught.value.reason is Reason.UNAUTHORIZED


@pytest.mark.parametrize(
    ("environ", "store", "means"),
    [
        ({}, "", "sqlite:///{}/seamwatch.db"),
        ({"STATE_DIRECTORY": ""}, "", "sqlite:///{}/seamwatch.db"),
        ({"STATE_DIRECTORY": "/var/lib/sw"}, "", "sqlite:////var/lib/sw/seamwatch.db"),
        ({"STATE_DIRECTORY": "/var/lib/sw:/srv/b"}, "", "sqlite:////var/lib/sw/seamwatch.db"),
        ({"STATE_DIRECTORY": "/s"}, "store: sqlite:///seamwatch.db", "sqlite:///{}/seamwatch.db"),
        ({"STATE_DIRECTORY": "/s"}, "store: postgresql://u@db/x", "postgresql://u@db/x"),
    ],
)
def test_by_default_the_store_is_beside_the_file_or_in_the_state_directory_of_systemd(
    environ: dict[str, str], store: str, means: str, tmp_path: Path
) -> None:
    path = tmp_path / "seamwatch.yaml"
    path.write_text(f"{CONFIG}{store}\n")
    assert load(path, environ=environ).store_url == means.format(tmp_path)


PASSWORDS = [
    *("s3c/secret", "s3c@secret", "s3c#secret", "s3c?secret", "123/secret", "1#secret", "1?secret"),
    *("s3c[secret", "@secret", "secret@", "/secret", "#secret", "?secret", "secret@db:1/"),
]


@pytest.mark.parametrize("password", PASSWORDS)
async def test_a_password_that_is_not_encoded_is_refused_and_never_shown(password: str) -> None:
    for address in (
        f"postgresql://u:{password}@127.0.0.1:1/sw",
        f"postgresql+asyncpg://u:{password}@127.0.0.1:1/sw",
        f"postgres://u:{password}@/sw?host=/tmp",
        f"postgresql://{password}@127.0.0.1:1/sw",
    ):
        with pytest.raises(StoreError) as caught:
            await Store.open(address)
        assert "secret" not in "".join(traceback.format_exception(caught.value))
        if ":" + password in address:
            assert str(caught.value) == (
                "store: the address cannot be taken apart;"
                " percent-encode / @ : # ? in user and password"
            )


@pytest.mark.parametrize("password", [":secret", "a:secret", "a%3A%2F%40%23%3Fsecret", "%secret"])
async def test_a_password_that_can_be_told_is_used_and_never_shown(password: str) -> None:
    address = parse_address(f"postgresql://u:{password}@127.0.0.1:1/sw")
    assert address.url.password is not None
    assert address.url.password.endswith("secret")
    assert address.shown == "PostgreSQL database sw at 127.0.0.1:1"
    with pytest.raises(StoreError) as caught:
        await Store.open(f"postgresql://u:{password}@127.0.0.1:1/sw")
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite:////var/lib/seamwatch.db", "/var/lib/seamwatch.db"),
        ("sqlite+pysqlite:////var/lib/seamwatch.db", "/var/lib/seamwatch.db"),
        ("sqlite://", "SQLite in memory"),
        ("postgresql://u:s3cret@db:5433/sw", "PostgreSQL database sw at db:5433"),
        ("postgres://u:s3cret@db/sw?sslmode=require", "PostgreSQL database sw at db"),
        ("postgresql+asyncpg://u:s3cret@/sw", "PostgreSQL database sw at local socket"),
    ],
)
def test_an_address_is_shown_without_its_password(text: str, shown: str) -> None:
    address = parse_address(text)
    assert address.shown == shown
    assert address.url.drivername in ("sqlite+pysqlite", "postgresql+asyncpg")
    assert "sslmode" not in address.url.query
    assert address.url.query.get("ssl") == ("require" if "sslmode" in text else None)


@pytest.mark.parametrize(
    "text", ["mysql://u:s3cret@db/sw", "postgresql+psycopg2://u:s3cret@db/sw", "s3cret", ""]
)
async def test_an_address_of_another_kind_says_what_to_write(text: str) -> None:
    with pytest.raises(StoreError, match=r"write sqlite:////absolute/path.db or ") as e:
        await Store.open(text)
    assert "s3cret" not in str(e.value)


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:1", Reason.UNREACHABLE), ("no-such-host.invalid", Reason.DNS)],
)
async def test_a_server_that_is_not_there_is_told_without_the_password(
    address: str, reason: Reason
) -> None:
    with pytest.raises(StoreError, match="store PostgreSQL database sw at") as caught:
        await Store.open(f"postgresql://u:s3cret@{address}/sw")
    assert caught.value.reason is reason
    assert "s3cret" not in str(caught.value)


async def test_a_server_that_never_answers_ends_at_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreError) as caught:
            await Store.open(f"postgresql://u@127.0.0.1:{port}/sw", timeout=0.2)
    assert caught.value.reason is Reason.TIMEOUT
    assert "look at the load" in str(caught.value)
