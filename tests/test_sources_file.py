"""The file source: manifests and newest objects, local, over HTTP and on a real FTP server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from pydantic import ValidationError

from hostile import HANG, Hostile, gzip_bomb, page, says, sends
from seamwatch.config.sources import SourceSection
from seamwatch.errors import ReadError
from seamwatch.fetch import Fetcher
from seamwatch.pipeline import Observation
from seamwatch.sources import Reach, build
from stages import NOW, failure, read

MANIFEST = '{"status": "ok", "version": "idx-7", "watermark": "2026-11-22T08:00:00Z"}'
SEEN = Observation(healthy=True, version="idx-7", watermark=NOW - 3600)

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a file under the test's directory, with its modification time."""

    def write(name: str, content: str | bytes = "", *, at: float = NOW - 60) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (at, at))
        return path

    return write


def manifest(path: object, **more: Any) -> dict[str, Any]:
    return {"file": {"path": str(path), **more}}


def newest(path: object, **more: Any) -> dict[str, Any]:
    return manifest(path, read="newest", **more)


async def test_a_manifest_is_read_relative_to_the_configuration_file(put: Put) -> None:
    path = put("meta/manifest.json", MANIFEST)
    assert await read(manifest(path)) == SEEN
    assert await read(manifest("meta/manifest.json"), base=path.parents[1]) == SEEN
    assert await read(manifest(f"file://{path}")) == SEEN


async def test_fields_of_a_foreign_manifest_are_found_by_expressions(put: Put) -> None:
    path = put("manifest.json", '{"run": {"id": 41, "end": 1795334400000}, "state": "done"}')
    section = manifest(
        path,
        time="ms",
        healthy="done",
        fields={"version": "run.id", "watermark": "run.end", "status": "state"},
    )
    assert await read(section) == Observation(healthy=True, version="41", watermark=NOW - 3600)


@pytest.mark.parametrize(
    ("content", "reason", "message"),
    [
        ("", "no_data", "the answer is empty; it should be JSON"),
        (bytes(range(1, 256)), "bad_encoding", None),
        ("<xml/>", "not_json", "the answer is a web page or XML; it should be JSON"),
        (" " * ((1 << 20) + 1), "too_large", "the file is larger than max_bytes, 1048576"),
    ],
)
async def test_a_manifest_that_is_none(
    put: Put, content: str | bytes, reason: str, message: str | None
) -> None:
    path = put("manifest.json", content)
    found, text = await failure(manifest(path))
    assert found == reason
    if message is not None:
        assert text == f"{path}: {message}"


@pytest.mark.parametrize("make", ["directory", "pipe", "device", "socket", "nothing", "below"])
async def test_what_is_no_plain_file_is_refused_at_once(put: Put, make: str) -> None:
    path = put("x").with_name(make)
    kind = {"directory": "a directory", "pipe": "a pipe", "socket": "a socket"}.get(make)
    with socket.socket(socket.AF_UNIX) as listener:
        if make == "directory":
            os.mkdir(path)  # noqa: PTH102
        elif make == "pipe":
            os.mkfifo(path)
        elif make == "socket":
            listener.bind(str(path))
        elif make == "device":
            path, kind = Path("/dev/zero"), "a device"
        elif make == "below":
            path = path.with_name("x") / "manifest.json"
        expected = (
            ("not_json", f"{path}: this is {kind}; write the path of a file")
            if kind
            else ("no_data", f"{path}: there is no such file")
        )
        assert await failure(manifest(path)) == expected


async def test_a_file_without_end_or_size_is_cut_off() -> None:
    # files of /proc say that they are empty, whatever they hold
    reason, _ = await failure(manifest("/proc/self/maps", max_bytes="1KiB"))
    assert reason == "too_large"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
async def test_a_file_that_we_may_not_read(put: Put) -> None:
    path = put("manifest.json", MANIFEST)
    path.chmod(0)
    os.seteuid(65534)
    try:
        found = await failure(manifest(path))
    finally:
        os.seteuid(0)
    assert found == ("unauthorized", f"{path}: not readable for seamwatch's user")


# --- newest


async def test_the_file_changed_last_is_the_newest(put: Put) -> None:
    put("index/a.faiss", at=NOW - 300)
    put("index/b.faiss", at=NOW - 100)
    path = put("index/c.faiss", at=NOW - 200)
    put("index/d.tmp", at=NOW - 50)
    os.mkdir(path.with_name("dir.faiss"))  # noqa: PTH102
    found = await read(newest(path.with_name("*.faiss")))
    assert found == Observation(version="b.faiss", updated_at=NOW - 100)


async def test_a_date_in_the_name_is_the_watermark_and_decides(put: Put) -> None:
    put("t/dt=2026-11-20/part-0.parquet", at=NOW - 10)  # an old day, written again just now
    put("t/dt=2026-11-22/part-0.parquet", at=NOW - 500)
    put("t/dt=2026-11-22/part-1.parquet", at=NOW - 400)
    path = put("t/dt=2026-99-99/part-2.parquet", at=NOW - 5)
    section = newest(path.parents[1] / "dt=*/part-*.parquet", watermark_in_name="dt=%Y-%m-%d")
    day = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
    assert await read(section) == Observation(
        version="dt=2026-11-22/part-1.parquet", updated_at=NOW - 400, watermark=day
    )
    section["file"]["zone"] = "Europe/Berlin"
    assert (await read(section)).watermark == day - 3600


async def test_digits_of_another_number_are_no_date(put: Put) -> None:
    path = put("export-202611220001.csv")
    assert await failure(newest(path.with_name("*.csv"), watermark_in_name="%Y%m%d")) == (
        "bad_time",
        f'{path.parent}/*.csv: no date like %Y%m%d in "{path}"',
    )
    put("export-2026112207.csv")
    found = await read(newest(path.with_name("*.csv"), watermark_in_name="%Y%m%d%H"))
    assert (found.version, found.watermark) == ("export-2026112207.csv", NOW - 7200)


async def test_a_search_goes_through_directories(put: Put) -> None:
    put("lake/2026/11/a.bin", at=NOW - 300)
    path = put("lake/2026/12/deep/b.bin", at=NOW - 200)
    found = await read(newest(path.parents[3] / "**/*.bin"))
    assert found.version == "2026/12/deep/b.bin"


async def test_one_file_can_be_the_newest(put: Put) -> None:
    path = put("model.bin")
    assert await read(newest(path)) == Observation(version="model.bin", updated_at=NOW - 60)


async def test_a_pattern_that_matches_nothing(put: Put) -> None:
    path = put("a.csv")
    pattern = path.with_name("*.parquet")
    assert await failure(newest(pattern)) == ("no_data", f"{pattern}: nothing matches")
    pattern = path.with_name("none") / "*.parquet"
    assert await failure(newest(pattern)) == ("no_data", f"{pattern}: there is no such file")


async def test_a_file_from_the_future_and_a_strange_name_are_refused(put: Put) -> None:
    path = put("a.csv", at=NOW + 7200)
    reason, message = await failure(newest(path))
    assert (reason, message.partition(",")[0]) == (
        "bad_time",
        f"{path}: updated_at is 1795345200.0",
    )
    path = put("b\n.csv")
    assert await failure(newest(path.with_name("b*"))) == (
        "bad_contract",
        f'{path.parent}/b*: version is "b\\n.csv"; write it without control characters',
    )


# --- over HTTP


async def test_a_manifest_behind_a_web_address_is_bounded_like_every_request() -> None:
    async with Hostile(page(MANIFEST.encode())) as server:
        assert await read(manifest(f"{server.url}/manifest.json")) == SEEN
    bomb = page(gzip_bomb(), headers="Content-Encoding: gzip")
    async with Hostile(bomb) as server:
        reason, _ = await failure(manifest(f"{server.url}/m"))
        assert reason == "too_large"
    async with Hostile(says({})) as server:
        assert (await failure(manifest(f"{server.url}/m")))[0] == "bad_contract"


# --- FTP: a store that fsspec knows, with a real server


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(
        [*command, "-d", str(tmp_path), "-u", "reader", "-P", "s3cret-right"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until = monotonic() + 30
            while monotonic() < until:
                assert process.poll() is None, "pyftpdlib did not start"
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
            yield f"ftp://127.0.0.1:{port}", process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


LOGIN = {"username": "reader", "password": "s3cret-right"}
Ftp = tuple[str, "subprocess.Popen[bytes]"]


async def test_a_manifest_and_the_newest_object_are_read_from_a_store(put: Put, ftp: Ftp) -> None:
    put("meta/manifest.json", MANIFEST)
    put("index/dt=2026-11-21/a.bin", at=NOW - 300)
    put("index/dt=2026-11-22/b.bin", at=NOW - 200)
    put("index/dt=2026-11-20/c.bin", at=NOW - 100)
    url, _ = ftp
    assert await read(manifest(f"{url}/meta/manifest.json", options=LOGIN)) == SEEN
    pattern = f"{url}/index/dt=*/*.bin"
    assert await read(newest(pattern, options=LOGIN)) == Observation(
        version="dt=2026-11-20/c.bin", updated_at=NOW - 100
    )
    dated = await read(newest(pattern, options=LOGIN, watermark_in_name="dt=%Y-%m-%d"))
    assert (dated.version, dated.watermark) == ("dt=2026-11-22/b.bin", NOW - 9 * 3600)


async def test_a_store_that_gives_nothing_says_why(put: Put, ftp: Ftp) -> None:
    put("large.json", " " * 5000)
    url, _ = ftp
    small = manifest(f"{url}/large.json", options=LOGIN, max_bytes="1KiB")
    assert await failure(small) == (
        "too_large",
        f"{url}/large.json: the file is larger than max_bytes, 1024",
    )
    assert await failure(manifest(f"{url}/none.json", options=LOGIN)) == (
        "no_data",
        f"{url}/none.json: there is no such object",
    )
    assert await failure(newest(f"{url}/*.bin", options=LOGIN)) == (
        "no_data",
        f"{url}/*.bin: nothing matches",
    )
    wrong = {**LOGIN, "password": "s3cret-wrong"}
    reason, message = await failure(manifest(f"{url}/large.json", options=wrong), timeout=20)
    assert (reason, message) == (
        "unauthorized",
        f"{url}/large.json: 530 Authentication failed.",
    )


async def test_a_store_that_hangs_costs_one_thread_and_then_says_busy(put: Put, ftp: Ftp) -> None:
    put("manifest.json", MANIFEST)
    url, process = ftp
    process.send_signal(signal.SIGSTOP)  # connections are accepted, nothing is ever answered
    section = SourceSection.model_validate(
        manifest(f"{url}/manifest.json", options={**LOGIN, "timeout": 60})
    )
    async with Fetcher() as fetcher:
        source = build(section, Reach(fetcher), timeout=0.3, base_dir=Path("/"))
        said = []
        for _ in range(2):
            with pytest.raises(ReadError) as caught:
                await source.read(now=NOW)
            said.append((caught.value.reason.value, str(caught.value)))
    assert said == [
        ("timeout", f"{url}/manifest.json: no answer within 0.3 s"),
        ("busy", f"{url}/manifest.json: the previous reading still hangs"),
    ]


async def test_a_store_that_is_gone_is_unreachable(ftp: Ftp) -> None:
    url, process = ftp
    process.kill()
    process.wait()
    assert await failure(manifest(f"{url}/m.json", options=LOGIN)) == (
        "unreachable",
        f"{url}/m.json: ConnectionRefusedError: [Errno 111] Connection refused",
    )


async def test_something_else_listens_where_the_store_should_be() -> None:
    for says_, reason in ((b"* OK IMAP4rev1\r\n", "unreachable"), (b"", "timeout")):
        async with Hostile(greets=sends(says_, then=HANG)) as server:
            section = manifest(f"ftp://127.0.0.1:{server.port}/m.json", options=LOGIN)
            found, message = await failure(section, timeout=0.5 if reason == "timeout" else 20.0)
            assert found == reason
            assert "s3cret" not in message


async def test_a_store_without_its_client_names_the_package() -> None:
    assert await failure(manifest("s3://lake/m.json")) == (
        "missing_driver",
        "s3://lake/m.json: no client for s3:// here; run pip install s3fs",
    )
    assert await failure(manifest("nonsense://lake/m.json")) == (
        "missing_driver",
        "nonsense://lake/m.json: no client for nonsense:// here; write another address",
    )


# --- what could never work


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (manifest("/data/*.json"), "a manifest is one file; write read: newest for a pattern"),
        (
            newest("http://h/*.json"),
            "an http address lists no objects; write a manifest, or a store such as s3://",
        ),
        (
            manifest("http://h/m.json", options={"token": "x"}),
            "an http address takes no options; use the http source for headers",
        ),
        (manifest("/m.json", options={"token": "x"}), "a local path takes no options"),
        (manifest("/m.json", watermark_in_name="%Y-%m-%d"), "watermark_in_name needs read: newest"),
        (newest("/*", watermark_in_name="%Y-%Q"), '"%Q" is not one of %Y %m %d %j %H %M %S'),
        (
            newest("/*", watermark_in_name="%Y-%m"),
            '"%Y-%m" is not a whole date; write e.g. %Y-%m-%d or %Y%m%d%H',
        ),
        (newest("/*", watermark_in_name="%Y%m%d%d"), '"%Y%m%d%d" names a part of the date twice'),
        (
            manifest("ftp://u:s3cret@h/m.json"),
            "a path may not carry a password; write it under options",
        ),
        (manifest(" "), "write the path of a file, e.g. /data/manifest.json"),
        (
            manifest("/m.json", zone="Berlin"),
            '"Berlin" is not an IANA time zone; write e.g. UTC or Europe/Berlin',
        ),
        (
            manifest("/m.json", zone="Europe"),
            '"Europe" is not an IANA time zone; write e.g. UTC or Europe/Berlin',
        ),
        (
            manifest("/m.json", zone="../../etc/passwd"),
            '"../../etc/passwd" is not an IANA time zone; write e.g. UTC or Europe/Berlin',
        ),
    ],
)
def test_what_could_never_work_is_refused_when_the_file_is_checked(
    section: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        SourceSection.model_validate(section)
    assert [error["msg"] for error in caught.value.errors()] == [f"Value error, {message}"]
    assert "s3cret" not in str(caught.value)
