"""Pictures of one page or one author are like each other in ways that are not their class: they stay in one split."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from curation.duplicates import Pair, components
from tellapart.manifest import Attempt

LARGE_SHARE = 0.2
_FEW = 2

Origin = tuple[str, str, str]


@dataclass(frozen=True)
class Joined:
    """Groups of near-duplicates joined by origin.

    Attributes:
        group_ids: the group of each picture, by sha256.
        large: pages and authors that have too much of a class to be kept in one split, and so join nothing.
    """

    group_ids: dict[str, str]
    large: int


def join_origins(attempts: Sequence[Attempt], group_ids: Mapping[str, str]) -> Joined:
    """Join the groups of pictures from the web that share a page or an author.

    An origin with more than a fifth of a class joins nothing: in one split, it would leave the others
    without that class.
    """
    large = _large_origins(attempts)
    members: defaultdict[object, list[int]] = defaultdict(list)
    for i, attempt in enumerate(attempts):
        for key in (group_ids[attempt.sha256], *_origins(attempt)):
            if key not in large:
                members[key].append(i)
    pairs = [Pair(first, second, same=False) for mine in members.values() for first, second in pairwise(mine)]
    labels = components(len(attempts), pairs).tolist()
    names: dict[int, str] = {}
    for attempt, label in zip(attempts, labels, strict=True):
        group_id = group_ids[attempt.sha256]
        names[label] = min(names.get(label, group_id), group_id)
    return Joined({a.sha256: names[label] for a, label in zip(attempts, labels, strict=True)}, len(large))


def _large_origins(attempts: Sequence[Attempt]) -> set[Origin]:
    sizes = Counter(a.class_slug for a in attempts)
    counts = Counter((a.class_slug, origin) for a in attempts for origin in _origins(a))
    return {origin for (slug, origin), n in counts.items() if n > max(_FEW, LARGE_SHARE * sizes[slug])}


def _origins(attempt: Attempt) -> Iterator[Origin]:
    """The page and the author, where they are known; one's own pictures have neither."""
    if attempt.url.startswith(("http://", "https://")):
        if attempt.page_url:
            yield "page", "", attempt.page_url
        if attempt.author:
            yield "author", attempt.source, attempt.author
