"""Objects of Kubernetes are halted by merge patches and get back what they had, nothing else.

The server holds the API conventions: Status errors, resourceVersion, merge patches only.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts_kubernetes import Kubernetes, _merge
from contracts_serving import order, served
from seamwatch.actions import Target, build
from seamwatch.actions.merge_patch import merged, points, restoring, same
from seamwatch.config.actions import ActionSection
from seamwatch.errors import ReadError, Reason
from seamwatch.fetch import Fetcher, Rejected

PATH = "/apis/apps/v1/namespaces/ml/deployments/answers"
JOB = "/apis/batch/v1/namespaces/ml/cronjobs/index"
HALTS = {PATH: {"spec": {"replicas": 0}}, JOB: {"spec": {"suspend": True}}}


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher() as made:
        yield made


def target(fetcher: Fetcher, url: str, halts: dict[str, Any] = HALTS) -> Target:
    given = {
        "url": url,
        "bearer_token": "sa-token-of-kubernetes",
        "patches": [{"path": path, "halt": halt} for path, halt in halts.items()],
    }
    return build(ActionSection.model_validate({"kubernetes": given}), fetcher)


def cluster() -> Kubernetes:
    server = Kubernetes()
    server.put(PATH, spec={"replicas": 3, "paused": False}, status={"replicas": 3})
    server.put(JOB, spec={"schedule": "0 * * * *"})
    return server


def specs(server: Kubernetes) -> list[dict[str, Any]]:
    return [server.objects[path]["spec"] for path in (PATH, JOB)]


async def test_a_halt_takes_replicas_away_and_its_end_gives_them_back(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        before = copy.deepcopy(specs(server))
        objects = target(fetcher, server.url)
        memory = await objects.look(order("halted"))
        halt = order("halted", memory)
        assert await objects.stands(halt) is False
        for _ in range(2):
            await objects.apply(halt)
            assert specs(server) == [
                {"replicas": 0, "paused": False},
                {"schedule": "0 * * * *", "suspend": True},
            ]
            assert await objects.stands(halt) is True
        assert sum(request.startswith("PATCH") for request in server.asked) == 2
        assert server.objects[PATH]["metadata"]["annotations"] == {
            "seamwatch.dev/generation": "7",
            "seamwatch.dev/action": "rag/work",
        }
        server.change(PATH, replicas=9)  # somebody scales it up
        assert await objects.stands(halt) is False
        assert await objects.look(halt) == memory
        await objects.apply(halt)
        assert await objects.look(halt) == memory
        resume = order("running", memory, generation=8)
        assert await objects.stands(resume) is False
        for _ in range(2):
            await objects.apply(resume)
            assert specs(server) == before
            assert await objects.stands(resume) is True


async def test_what_was_halted_already_is_left_as_it_was(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        server.change(PATH, replicas=0)
        objects = target(fetcher, server.url)
        memory = await objects.look(order("halted"))
        await objects.apply(order("halted", memory))
        await objects.apply(order("running", memory, generation=8))
        assert specs(server) == [
            {"replicas": 0, "paused": False},
            {"schedule": "0 * * * *"},
        ]


async def test_what_somebody_changed_since_the_halt_is_not_overwritten(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        objects = target(fetcher, server.url)
        memory = await objects.look(order("halted"))
        await objects.apply(order("halted", memory))
        server.change(PATH, replicas=5)
        resume = order("running", memory, generation=8)
        await objects.apply(resume)
        assert await objects.stands(resume) is True
        assert specs(server) == [
            {"replicas": 5, "paused": False},
            {"schedule": "0 * * * *"},
        ]


async def test_a_change_between_reading_and_patching_is_read_and_kept(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        objects = target(fetcher, server.url, {PATH: HALTS[PATH]})
        memory = await objects.look(order("halted"))
        server.before_patch = [lambda: server.change(PATH, paused=True)]
        await objects.apply(order("halted", memory))
        assert specs(server)[0] == {"replicas": 0, "paused": True}
        # quicker than the resume: the second reading finds it, and leaves it
        server.before_patch = [lambda: server.change(PATH, replicas=9)]
        await objects.apply(order("running", memory, generation=8))
        assert specs(server)[0] == {"replicas": 9, "paused": True}


async def test_an_object_that_never_rests_is_tried_twice_and_told(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        server.before_patch = [lambda: server.change(PATH, paused=True)] * 2
        with pytest.raises(Rejected, match="the object has been modified") as caught:
            await target(fetcher, server.url, {PATH: HALTS[PATH]}).apply(order("halted"))
        assert caught.value.status == 409
    assert [request.split()[0] for request in server.asked] == ["GET", "PATCH", "GET", "PATCH"]


async def test_an_older_order_is_refused_and_changes_nothing(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        objects = target(fetcher, server.url)
        memory = await objects.look(order("halted"))
        await objects.apply(order("halted", memory, generation=10))
        for late in (order("running", memory, generation=9), order("halted", memory, generation=9)):
            with pytest.raises(ReadError, match="obeys generation 10 of rag/work") as caught:
                await objects.apply(late)
            assert caught.value.reason is Reason.NOT_LEADER
        assert [spec.get("replicas") for spec in specs(server)] == [0, None]
        await objects.apply(order("running", memory, generation=11))
        with pytest.raises(ReadError, match="obeys generation 11"):
            await objects.apply(order("halted", memory, generation=10))
        # another pipeline's generations are another count
        other = order("halted", await objects.look(order("halted")), generation=2, pipeline="b")
        await objects.apply(other)
        assert specs(server)[0]["replicas"] == 0


async def test_an_unknown_object_is_named_and_the_others_are_patched(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        del server.objects[PATH]
        with pytest.raises(Rejected, match=f"1 of 2 failed: there is no object {PATH}"):
            await target(fetcher, server.url).apply(order("halted"))
        assert server.objects[JOB]["spec"]["suspend"] is True


async def test_a_field_that_the_schema_lacks_is_told_in_the_servers_words(
    fetcher: Fetcher,
) -> None:
    async with served(server := cluster()):
        server.known = {"replicas", "paused"}
        objects = target(fetcher, server.url, {PATH: {"spec": {"replica": 0}}})
        with pytest.raises(Rejected, match=r'422: unknown field "spec.replica"'):
            await objects.apply(order("halted"))


async def test_a_refused_token_is_never_shown(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        server.token = "another"
        with pytest.raises(Rejected, match=r"2 of 2 failed: .*401: Unauthorized") as caught:
            await target(fetcher, server.url).look(order("halted"))
    assert "sa-token-of-kubernetes" not in str(caught.value)


async def test_a_list_of_objects_is_not_patched(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        path = PATH.rsplit("/", 1)[0]
        server.objects[path] = {"kind": "DeploymentList", "metadata": {}, "items": []}
        with pytest.raises(ReadError, match="write the path of one object"):
            await target(fetcher, server.url, {path: HALTS[PATH]}).apply(order("halted"))


async def test_the_patches_are_rendered_without_being_sent(fetcher: Fetcher) -> None:
    async with served(server := cluster()):
        objects = target(fetcher, server.url)
        memory = await objects.look(order("halted"))
        assert objects.render(order("halted")).splitlines() == [
            f'PATCH {server.url}{PATH} {{"spec":{{"replicas":0}}}}',
            f'PATCH {server.url}{JOB} {{"spec":{{"suspend":true}}}}',
        ]
        assert objects.render(order("running", memory)).splitlines() == [
            f'PATCH {server.url}{PATH} {{"spec":{{"replicas":3}}}}',
            f'PATCH {server.url}{JOB} {{"spec":{{"suspend":null}}}}',
        ]
        assert objects.render(order("running")).startswith("nothing")
        await objects.close()


@pytest.mark.parametrize(
    ("patches", "said"),
    [
        ([{"path": "apis/x", "halt": {"spec": {}}}], "is not a path"),
        ([{"path": "/x?dryRun=All", "halt": {"spec": {}}}], "is not a path"),
        ([{"path": "/x", "halt": {}}], "halt changes nothing"),
        ([{"path": "/x", "halt": {"metadata": {"resourceVersion": "1"}}}], "not its own"),
        ([{"path": "/x", "halt": {"a": 1}}] * 2, "/x is there twice"),
    ],
)
def test_a_patch_that_could_never_work_is_refused_when_the_file_is_read(
    patches: Any, said: str
) -> None:
    section = {"kubernetes": {"url": "http://k8s.example", "patches": patches}}
    with pytest.raises(ValidationError, match=said):
        ActionSection.model_validate(section)


# few keys, so that object and patch meet; an object of Kubernetes keeps no nulls
KEYS = st.sampled_from("abc")
SCALARS = st.booleans() | st.integers(0, 2) | st.sampled_from(["", "x"]) | st.just(0.5)
VALUES = st.recursive(
    SCALARS | st.lists(SCALARS | st.none(), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)
PATCHES = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS | st.none() | st.lists(SCALARS, max_size=2),
        lambda inner: st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=3,
)


@given(OBJECTS, PATCHES)
def test_a_patch_is_put_on_as_the_rfc_has_it(found: Any, patch: Any) -> None:
    assert same(merged(found, patch), _merge(found, patch))


@given(OBJECTS, PATCHES)
def test_any_halt_can_be_taken_off_any_object_again(found: Any, patch: Any) -> None:
    memory = json.loads(json.dumps(points(found, patch)))
    halted = merged(found, patch)
    back = restoring(halted, memory)
    restored = merged(halted, back)
    assert same(restored, found)
    assert restoring(restored, memory) == {} or not memory
    assert (back == {}) == same(halted, found)


@given(OBJECTS, PATCHES, PATCHES)
def test_what_others_changed_since_the_halt_survives_its_end(
    found: Any, patch: Any, theirs: Any
) -> None:
    memory = points(found, patch)
    changed = merged(merged(found, patch), theirs)
    restored = merged(changed, restoring(changed, memory))
    touched = {tuple(path): value for path, value in leaves(theirs)}
    ours = {tuple(path): value for path, value in leaves(patch)}
    for path, value in touched.items():
        clash = any(path[: len(mine)] == mine or mine[: len(path)] == path for mine in ours)
        if value is not None and not clash:
            assert same(at(restored, path), value)


def test_of_a_mapping_that_others_write_in_only_our_part_is_taken_out() -> None:
    found = {"spec": {}}
    memory = points(found, {"spec": {"pause": {"a": 1, "b": 2, "deep": {"c": 3}}}})
    changed = {"spec": {"pause": {"a": 1, "b": 5, "deep": {"c": 3, "theirs": 4}, "new": 6}}}
    patch = restoring(changed, memory)
    assert patch == {"spec": {"pause": {"a": None, "deep": {"c": None}}}}
    assert merged(changed, patch) == {"spec": {"pause": {"b": 5, "deep": {"theirs": 4}, "new": 6}}}


def test_what_has_gone_together_with_its_place_is_not_made_again() -> None:
    memory = points({"spec": {"strategy": {"type": "RollingUpdate"}}}, {"spec": {"strategy": None}})
    assert restoring({"status": {}}, memory) == {}
    assert restoring({"spec": {}}, memory) == {"spec": {"strategy": {"type": "RollingUpdate"}}}


def test_true_is_not_one_and_one_is_one() -> None:
    assert not same({"a": [1]}, {"a": [True]})
    assert not same(0, False)
    assert same({"a": 1}, {"a": 1.0})


@given(OBJECTS, PATCHES)
def test_a_value_that_somebody_set_over_ours_is_not_given_back(found: Any, patch: Any) -> None:
    memory = points(found, patch)
    changed = merged(found, patch)
    for point in memory:
        theirs: Any = "theirs"
        for key in reversed(point["at"]):
            theirs = {key: theirs}
        changed = merged(changed, theirs)
    assert restoring(changed, memory) == {}


def leaves(patch: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(patch, dict):
        return [(path, patch)]
    return [leaf for key, value in patch.items() for leaf in leaves(value, (*path, key))]


def at(found: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found
