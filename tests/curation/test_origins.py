"""Pictures of one page or author stay in one split, unless that would leave the other splits without a class."""

from collections import defaultdict

import pytest

from curation import curate
from curation.origins import join_origins
from tellapart.manifest import Attempt
from tellapart.pictures import Reason, Status


def row(i, author="", page="", slug="cat", where="https://example.org", source="openverse"):
    return Attempt(
        f"{where}/{i}", slug, Status.KEPT, Reason.OK, source=source, sha256=f"{i:04}", author=author, page_url=page
    )


def joined(rows, same=()):
    """The groups after joining, where each picture is its own group but for those in `same`."""
    group_ids = {a.sha256: a.sha256 for a in rows} | dict(same)
    result = join_origins(rows, group_ids)
    groups = defaultdict(set)
    for digest, group_id in result.group_ids.items():
        groups[group_id].add(int(digest))
    return {name: members for name, members in groups.items() if len(members) > 1}, result.large


OTHERS = [row(i) for i in range(10, 20)]


def test_author_page_and_near_duplicates_join_groups_through_one_another():
    rows = [row(1, author="Ann"), row(2, author="Ann", page="p"), row(3, page="p"), row(4), row(5), *OTHERS]
    assert joined(rows, {"0004": "0003"}) == ({"0001": {1, 2, 3, 4}}, 0)


def test_authors_of_one_name_at_two_sources_are_two():
    rows = [row(1, author="Ann"), row(2, author="Ann", source="wikimedia"), *OTHERS]
    assert joined(rows) == ({}, 0)


def test_an_author_with_most_of_a_class_joins_nothing_and_is_counted():
    rows = [row(i, author="Ann", page="p" if i < 3 else "") for i in range(1, 9)]
    assert joined([*rows, *OTHERS]) == ({"0001": {1, 2}}, 1)


def test_the_share_is_that_of_each_class():
    dogs = [row(i, author="Ann", slug="dog") for i in range(1, 4)]
    assert joined([*dogs, row(4, slug="dog"), *OTHERS]) == ({}, 1)


@pytest.mark.parametrize("where", ["file:///pictures", "gallery:/full", "upload:"])
def test_ones_own_pictures_have_no_origin(where):
    rows = [row(i, author="Ann", page="p", where=where) for i in (1, 2)]
    assert joined([*rows, *OTHERS]) == ({}, 0)


def test_curation_keeps_an_author_in_one_split_and_says_who_was_too_large(make_dataset, make_photo):
    pictures = [(slug, make_photo(1000 * i + seed)) for i, slug in enumerate(("cat", "dog")) for seed in range(210)]
    dataset = make_dataset(pictures)
    before = dataset.manifest.kept()
    authors = ["Large" if i % 3 == 0 else f"author {i // 4}" for i in range(len(before))]
    dataset.manifest.exchange(
        before,
        [
            Attempt(**vars(a) | {"url": f"https://example.org/{a.url}", "author": name, "source": "openverse"})
            for a, name in zip(before, authors, strict=True)
        ],
    )
    summary = curate(dataset)
    splits = defaultdict(set)
    for a in dataset.manifest.kept():
        splits[a.author].add(a.split)
    assert splits.pop("Large") == {"train", "val", "test"}
    assert all(len(found) == 1 for found in splits.values())
    assert min(summary.splits.values()) > 20
    assert summary.duplicate_groups == 0
    assert summary.text.endswith("; 1 page or author has too much of a class to be kept in one split")
