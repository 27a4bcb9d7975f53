"""Words to search for beside a class's name."""

import pytest

from scraping.collect import collect
from scraping.queries import parse_queries
from tellapart.errors import UsageError
from tellapart.names import parse_class_names
from tellapart.progress import silent

CLASSES = parse_class_names(["Red fox", "Jaguar"])


def test_queries_belong_to_classes():
    typed = ["jaguar=jaguar  cat ", "red fox=vulpes vulpes", "Jaguar=panthera onca = big"]
    assert parse_queries(typed, CLASSES) == {
        "jaguar": ["jaguar cat", "panthera onca = big"],
        "red-fox": ["vulpes vulpes"],
    }


@pytest.mark.parametrize("typed", ["jaguar", "jaguar=", "jaguar= ", "=words", "dog=poodle", "", "\udcff=words"])
def test_what_is_no_query_is_one_line(typed):
    with pytest.raises(UsageError) as caught:
        parse_queries([typed], CLASSES)
    assert str(caught.value) == (
        f"query {typed!r} is not a class and words for it. Write CLASS=WORDS, CLASS one of Red fox, Jaguar"
    )


def test_a_class_is_searched_by_its_name_then_by_its_queries(make_dataset, settings, site, list_source, make_photo):
    class ByQuery(list_source):
        def search(self, class_name, query):
            self.asked.append(query)
            yield from (c for c in super().search(class_name, query) if c.url.endswith("/" + query.replace(" ", "-")))

    pictures = [site.serve(f"/{name}", make_photo(seed)) for seed, name in enumerate(["cat", "tabby-cat", "wild-cat"])]
    first, second = (
        ByQuery({"cat": pictures, "dog": [site.serve("/dog", make_photo(9))]}, name=n) for n in ("first", "second")
    )
    dataset = make_dataset("cat", "dog")
    collect(dataset, [first, second], 2, settings, silent, {"cat": ["tabby cat", "cat", "wild cat"]})
    assert {(row.url, row.query) for row in dataset.manifest.kept()} == {
        (f"{site.url}/cat", "cat"),
        (f"{site.url}/tabby-cat", "tabby cat"),
        (f"{site.url}/dog", "dog"),
    }
    assert "wild cat" not in first.asked + second.asked
    assert "cat" not in second.asked
    assert ("cat", "first", "cat") in dataset.manifest.finished_searches()
