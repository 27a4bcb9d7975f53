"""What sources are asked for beside a class's own name."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from scraping.source import whole_text
from tellapart.errors import UsageError
from tellapart.names import ClassName, slugify

NO_QUERIES: Mapping[str, Sequence[str]] = MappingProxyType({})


def parse_queries(texts: Iterable[str], classes: Sequence[ClassName]) -> dict[str, list[str]]:
    """Extra queries by class slug, from what was typed as CLASS=WORDS; one class may have several.

    Raises:
        UsageError: one has no words or names none of the classes.
    """
    slugs = {c.slug for c in classes}
    queries: dict[str, list[str]] = {}
    for text in texts:
        name, _, words = text.partition("=")
        if slugify(name) not in slugs or not words.strip():
            names = ", ".join(c.name for c in classes)
            raise UsageError(
                f"query {text!r} is not a class and words for it", f"Write CLASS=WORDS, CLASS one of {names}"
            )
        queries.setdefault(slugify(name), []).append(whole_text(" ".join(words.split())))
    return queries
