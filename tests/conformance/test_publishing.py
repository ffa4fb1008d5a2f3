"""What is in Redis after courses have been published; rules of the specification, jobs, section 1."""

import json
from typing import cast

import pytest
from tests.conformance.events import COLLECTION, published
from tests.conformance.process import Running
from tests.conformance.servers import COLLECTION_CACHE, RELATION_CACHE, Json, unique
from tests.conformance.site import RELATIONS, Site

pytestmark = pytest.mark.usefixtures("jobs")


def unit(identifier: str, *children: Json, **fields: object) -> Json:
    """A unit as it stands in a hierarchy."""
    node = {"identifier": identifier, "mimeType": COLLECTION, "visibility": "Parent", "children": [*children]}
    return node | fields


def leaf(identifier: str, **fields: object) -> Json:
    """A resource as it stands in a hierarchy."""
    return {"identifier": identifier, "mimeType": "video/mp4", "visibility": "Default"} | fields


def optional(node: Json, metadata: object = None) -> Json:
    """A node that need not be done."""
    return node | {"relationalMetadata": {"optional": True} if metadata is None else metadata}


def publish(site: Site, tree: Json, **edata: object) -> str:
    """Stores a course, lets it be published, and returns its id."""
    course = str(tree["identifier"])
    site.put_hierarchy(course, {"visibility": "Default"} | tree)
    site.send(RELATIONS, [published(course, **edata)])
    site.settle(RELATIONS)
    return course


def sets(site: Site, course: str) -> dict[str, set[str]]:
    """All sets of a course in the relation cache, by the part of the key behind the course."""
    cache = site.servers.redis(RELATION_CACHE)
    keys = cast("list[str]", list(cache.scan_iter(f"{course}:*", count=10_000)))
    return {key.removeprefix(f"{course}:"): cast("set[str]", cache.smembers(key)) for key in keys}


def units(site: Site, *identifiers: str) -> dict[str, Json]:
    """Those of the units that are in the collection cache."""
    texts = site.servers.redis(COLLECTION_CACHE).mget(identifiers)
    return {
        name: json.loads(text)
        for name, text in zip(identifiers, cast("list[str | None]", texts), strict=True)
        if text
    }


def test_a_published_course_has_all_its_sets_and_no_other(site: Site) -> None:
    course = unique("do")
    tree = unit(
        course,
        unit("u1", leaf("r1"), optional(leaf("r2")), unit("u1.1", leaf("r3"), visibility="Default")),
        unit("u2", leaf("r2"), leaf("r4"), leaf("r4"), leafNodes=["r4", "r9", "r4"]),
        optional(unit("u3", leaf("r5"), unit("u3.1", leaf("r6")))),
        unit("u4"),
        leaf("r7"),
        visibility="Default",
    )
    publish(site, tree)
    assert sets(site, course) == {
        f"{course}:leafnodes": {
            "r1",
            "r2",
            "r3",
            "r4",
            "r5",
            "r6",
            "r7",
        },  # composed: own lists below do not count
        "u1:leafnodes": {"r1", "r2", "r3"},
        "u1.1:leafnodes": {"r3"},
        "u2:leafnodes": {"r4", "r9"},  # its own list
        "u3:leafnodes": {"r5", "r6"},
        "u3.1:leafnodes": {"r6"},
        f"{course}:optionalnodes": {"r2", "u3", "r5", "r6"},
        "u1:optionalnodes": {"r2"},
        "r1:ancestors": {"u1", course},
        "r2:ancestors": {"u1", "u2", course},
        "r3:ancestors": {"u1.1", "u1", course},
        "r4:ancestors": {"u2", course},
        "r5:ancestors": {"u3", course},
        "r6:ancestors": {"u3.1", "u3", course},
        "r7:ancestors": {course},
    }


def test_optional_may_be_written_in_several_ways(site: Site) -> None:
    course = unique("do")
    true = [
        {"optional": True},
        {"optional": "true"},
        {"optional": "TRUE"},
        '{"optional": true}',
        '{"optional":"True"}',
    ]
    false = [
        {"optional": False},
        {"optional": "no"},
        {},
        None,
        "",
        "no JSON",
        '{"optional": false}',
        {"optional": None},
    ]
    children = [optional(leaf(f"yes{n}"), metadata) for n, metadata in enumerate(true)]
    children += [leaf(f"no{n}") | {"relationalMetadata": metadata} for n, metadata in enumerate(false)]
    publish(site, unit(course, *children))
    assert sets(site, course)[f"{course}:optionalnodes"] == {f"yes{n}" for n in range(len(true))}
    assert len(sets(site, course)[f"{course}:leafnodes"]) == len(true) + len(false)


def test_units_are_cached_as_they_stand_in_the_hierarchy(site: Site) -> None:
    course, one, two, other, empty = unique("do"), unique("u"), unique("u"), unique("u"), unique("u")
    inner = unit(two, leaf("r2"), name='"दूसरा" unit', visibility="PARENT", some={"nested": [1, 2.5, None]})
    outer = unit(one, leaf("r1"), inner, keywords=["a", "b"])
    tree = unit(
        course, outer, unit(other, leaf("r3"), visibility="Default"), unit(empty), visibility="Default"
    )
    publish(site, tree)
    assert units(site, one, two, other, empty, course, "r1") == {one: outer, two: inner}


def test_a_set_that_became_empty_is_removed_by_the_next_publish(site: Site) -> None:
    course = unique("do")
    publish(site, unit(course, unit("u1", optional(leaf("r1"))), unit("u2", leaf("r2"))))
    assert {f"{course}:optionalnodes", "u1:optionalnodes", "u2:leafnodes"} <= sets(site, course).keys()
    publish(site, unit(course, unit("u1", leaf("r1")), unit("u2", leafNodes=[])))
    assert sets(site, course) == {
        f"{course}:leafnodes": {"r1"},
        "u1:leafnodes": {"r1"},
        "r1:ancestors": {"u1", course},
        "r2:ancestors": {"u2", course},  # where a content that has left stood, nobody says
    }


def test_blank_identifiers_are_dropped(site: Site) -> None:
    course = unique("do")
    tree = unit(
        course,
        unit("u1", leaf(""), leaf("  "), leaf("r1"), {"mimeType": "video/mp4"}),
        unit("u2", leaf("r2"), leafNodes=["r2", "", " "]),
    )
    publish(site, tree)
    assert sets(site, course) == {
        f"{course}:leafnodes": {"r1", "r2"},
        "u1:leafnodes": {"r1"},
        "u2:leafnodes": {"r2"},
        "r1:ancestors": {"u1", course},
        "r2:ancestors": {"u2", course},
    }


@pytest.mark.parametrize(
    "edata",
    [{"mimeType": COLLECTION.upper()}, {"action": "relation-cache-update"}],
    ids=["mime type in capitals", "relation-cache-update"],
)
def test_other_ways_to_ask_are_understood(site: Site, edata: Json) -> None:
    course = publish(site, unit(unique("do"), leaf("r1")), **edata)
    assert sets(site, course)[f"{course}:leafnodes"] == {"r1"}


@pytest.mark.parametrize(
    "edata",
    [
        {"mimeType": "video/mp4"},
        {"mimeType": "application/vnd.ekstep.ecml-archive"},
        {"action": "publish"},
        {"identifier": ""},
        {"identifier": " "},
    ],
    ids=["video", "archive", "action", "no identifier", "blank identifier"],
)
def test_what_is_not_a_published_collection_is_skipped(site: Site, jobs: Running, edata: Json) -> None:
    before, failed = jobs.counts(RELATIONS), len(site.failed(RELATIONS))
    course = publish(site, unit(unique("do"), leaf("r1")), **edata)
    assert sets(site, course) == {}
    assert len(site.failed(RELATIONS)) == failed
    after = jobs.counts(RELATIONS)
    assert after.get("skipped", 0) - before.get("skipped", 0) == 1
    assert after["total"] - before.get("total", 0) == 1


@pytest.mark.parametrize("hierarchy", [None, "", "  "], ids=["no row", "empty", "blank"])
def test_a_course_without_hierarchy_is_skipped_with_a_warning(
    site: Site, jobs: Running, hierarchy: str | None
) -> None:
    course, failed = unique("do"), len(site.failed(RELATIONS))
    before = jobs.counts(RELATIONS).get("skipped", 0)
    if hierarchy is not None:
        site.put_hierarchy(course, hierarchy)
    site.send(RELATIONS, [published(course)])
    site.settle(RELATIONS)
    assert jobs.counts(RELATIONS)["skipped"] - before == 1
    assert sets(site, course) == {}
    assert len(site.failed(RELATIONS)) == failed
    warnings = [json.loads(line) for line in jobs.errors.splitlines() if course in line]
    assert [warning["level"] for warning in warnings] == ["warning"]


def test_a_node_below_itself_is_a_failed_record_and_the_next_course_is_published(site: Site) -> None:
    course, other = unique("do"), unique("do")
    site.put_hierarchy(course, unit(course, unit("u1", leaf("r1"), unit("u2", unit("u1", leaf("r2"))))))
    site.put_hierarchy(other, unit(other, leaf("r1")))
    site.send(RELATIONS, [published(course), published(other)], partition=1)
    site.settle(RELATIONS)
    assert sets(site, course) == {}
    assert sets(site, other)[f"{other}:leafnodes"] == {"r1"}
    [record] = [m for m in site.failed(RELATIONS) if m.value.get("object", {}).get("id") == course]
    info = record.value.pop("failInfo")
    assert record.value.pop("jobName") == RELATIONS
    assert record.value == json.loads(published(course))
    assert info["errorCode"]
    assert "u1" in info["error"]
    assert course in info["error"]


@pytest.mark.parametrize("hierarchy", ['{"identifier": "do_1", "children": [', "[]", '"text"', "7"])
def test_a_hierarchy_that_is_none_is_a_failed_record(site: Site, hierarchy: str) -> None:
    course = unique("do")
    site.put_hierarchy(course, hierarchy)
    site.send(RELATIONS, [published(course)])
    site.settle(RELATIONS)
    [record] = [m for m in site.failed(RELATIONS) if m.value.get("object", {}).get("id") == course]
    assert course in record.value["failInfo"]["error"]
    assert sets(site, course) == {}


def test_a_name_with_a_quote_ends_on_the_failed_topic_with_a_clear_reason(site: Site) -> None:
    course = unique("do")
    site.put_hierarchy(course, unit(course, leaf("r1")))
    text = published(course).replace(b'"CourseMTimmothy"', b'"The "best" course"')
    site.send(RELATIONS, [text])
    site.settle(RELATIONS)
    [record] = [m for m in site.failed(RELATIONS) if course in m.value.get("raw", "")]
    assert record.value.keys() == {"raw", "jobName", "failInfo"}
    assert record.value["raw"] == text.decode()
    assert record.value["jobName"] == RELATIONS
    assert "JSON" in record.value["failInfo"]["error"]
    assert record.headers["lern-topic"] == site.input(RELATIONS)
    assert record.headers["lern-job"] == RELATIONS
    assert sets(site, course) == {}


def test_a_course_of_50000_nodes_twenty_deep_is_published(site: Site) -> None:
    course = unique("do")

    def deep(level: int, name: str) -> Json:
        below = [deep(level - 1, f"{name}.{level}")] if level else []
        leaves = [{"identifier": f"{name}.{level}.{n}", "mimeType": "video/mp4"} for n in range(118)]
        return {"identifier": f"{name}.{level}", "mimeType": COLLECTION, "children": below + leaves}

    tree = {"identifier": course, "mimeType": COLLECTION, "children": [deep(18, str(n)) for n in range(22)]}
    publish(site, tree)
    found = sets(site, course)
    leaves = found[f"{course}:leafnodes"]
    assert len(leaves) == 22 * 19 * 118
    assert len(leaves) + 22 * 19 + 1 > 49_700
    assert found["0.18:leafnodes"] == {leaf for leaf in leaves if leaf.startswith("0.")}
    deepest = next(
        leaf for leaf in leaves if leaf.startswith("3.18.17.16.15.14.13.12.11.10.9.8.7.6.5.4.3.2.1.0.")
    )
    assert len(found[f"{deepest}:ancestors"]) == 20
    assert course in found[f"{deepest}:ancestors"]
    assert len(found) == len(leaves) + 22 * 19 + 1
