"""Real commands halt and resume; none outlives its order, and no secret of ours gets out."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from contracts_serving import order
from seamwatch.actions import Target, build
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher


def target(
    *halt: str,
    resume: tuple[str, ...] = ("true",),
    check: tuple[str, ...] | None = None,
    timeout: str = "20s",
) -> Target:
    given = {"halt": list(halt or ("true",)), "resume": list(resume)}
    if check is not None:
        given["check"] = list(check)
    section = ActionSection.model_validate({"exec": given, "timeout": timeout})
    return build(section, Fetcher())


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-S", "-c", code


async def test_commands_are_told_what_is_wanted_and_are_not_read_by_a_shell(tmp_path: Path) -> None:
    file = tmp_path / "$HOME; told"
    write = "import os, sys; open(sys.argv[1], 'a').write(os.environ['SEAMWATCH_DESIRED'] + ' ')"
    work = target(*python(write), str(file), resume=(*python(write), str(file)))
    await work.apply(order("halted"))
    await work.apply(order("running"))
    assert file.read_text() == "halted running "
    print_all = (
        "import os; print(sorted(k + '=' + v for k, v in os.environ.items()"
        " if k.startswith('SEAMWATCH_'))); raise SystemExit(3)"
    )
    with pytest.raises(ReadError) as caught:
        await target(*python(print_all.replace("[", "["))).apply(order("halted"))
    for told in (
        "SEAMWATCH_ACTION=work",
        "SEAMWATCH_DECIDED_AT=1970-01-01T00:00:01.000Z",
        "SEAMWATCH_DESIRED=halted",
        "SEAMWATCH_EVENT_ID=rag/work/7",
        "SEAMWATCH_GENERATION=7",
    ):
        assert f"'{told}'" in str(caught.value)


async def test_a_command_that_fails_is_told_with_the_last_line_that_it_said() -> None:
    command = python("import sys; print('a'); sys.exit('no such deployment: answers')")
    with pytest.raises(ReadError, match=r"ended with 1: no such deployment: answers$") as caught:
        await target(*command).apply(order("halted"))
    assert caught.value.reason is Reason.BAD_STATUS
    command = python("import os; os.kill(os.getpid(), 15)")
    with pytest.raises(ReadError, match="was ended by SIGTERM"):
        await target(*command).apply(order("halted"))
    with pytest.raises(ReadError, match="/no/such/program cannot be run: No such file") as caught:
        await target("/no/such/program").apply(order("halted"))
    assert caught.value.reason is Reason.BAD_CONTRACT


async def test_a_secret_of_the_environment_that_a_command_prints_is_not_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MODEL_TOKEN", "hunter2-hunter2")
    command = python("import os, sys; sys.exit('with ' + os.environ['MODEL_TOKEN'])")
    with pytest.raises(ReadError, match=r"ended with 1: with \*\*\*$"):
        await target(*command).apply(order("halted"))


async def test_a_command_that_hangs_is_killed_with_all_that_it_began(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )
    with pytest.raises(ReadError, match=r"had not ended after 1\.5 s, and was killed") as caught:
        await target(*python(code), timeout="1500ms").apply(order("halted"))
    assert caught.value.reason is Reason.TIMEOUT
    for pid in map(int, pids.read_text().split()):
        await gone(pid)


async def test_what_a_command_leaves_running_ends_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess\n"
        f"open({str(pid)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))"
    )
    await target(*python(code)).apply(order("halted"))
    await gone(int(pid.read_text()))


async def test_a_command_is_killed_when_the_order_is_not_wanted_any_more(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    task = asyncio.ensure_future(target(*python(code)).apply(order("halted")))
    while not (pid.exists() and pid.read_text()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(int(pid.read_text()))


async def gone(pid: int) -> None:
    """Return when no process *pid* runs; a killed one waits for init to take note of it."""
    async with asyncio.timeout(20):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie":  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_endless_output_is_read_and_forgotten() -> None:
    code = "import sys; [print('x' * 1000) for _ in range(20000)]; sys.exit('enough')"
    with pytest.raises(ReadError, match="ended with 1: enough"):
        await target(*python(code)).apply(order("halted"))


async def test_the_check_says_0_for_running_and_1_for_halted_and_nothing_else_counts() -> None:
    assert await target().stands(order("halted")) is None
    for status, desired, stands in (
        (0, "running", True), (1, "halted", True), (0, "halted", False), (1, "running", False)
    ):  # fmt: skip
        work = target(check=python(f"raise SystemExit({status})"))
        assert await work.stands(order(desired)) is stands
    work = target(check=(*python("raise SystemExit('no route to host')"), "x"))
    assert await work.stands(order("halted")) is True  # Python ends with 1
    work = target(check=python("import sys; print('no route to host'); sys.exit(2)"))
    with pytest.raises(ReadError, match="ended with 2, which says nothing: no route to host; end"):
        await work.stands(order("halted"))


async def test_a_reason_that_no_environment_can_hold_does_not_stop_the_halt() -> None:
    odd = order("halted")
    object.__setattr__(odd, "reason", "a\0b \ud83d")
    code = "import os, sys; sys.exit(os.environ['SEAMWATCH_REASON'] != 'a?b ?')"
    await target(*python(code)).apply(odd)
    assert target("kubectl", "scale", "a b").render(odd) == "[kubectl] [scale] [a b]"


async def test_the_environment_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/etc/kube")
    code = "import os, sys; sys.exit(os.environ['KUBECONFIG'] != '/etc/kube')"
    await target(*python(code)).apply(order("halted"))
    assert "SEAMWATCH_REASON" not in os.environ
