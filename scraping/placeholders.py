"""Placeholders: what a site shows in the place of many pictures ("no image", "log in to see this")."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from scraping.host_share import host_of
from tellapart.manifest import Attempt
from tellapart.pictures import Reason, Status

MANY = 3
_COPIES = {Reason.OK, Reason.DUPLICATE, Reason.CONFLICT, Reason.LEAK, Reason.REMOVED, Reason.MOVED}

Change = tuple[Attempt, Attempt]


def find_placeholders(attempts: Iterable[Attempt]) -> list[Change]:
    """Of attempts with the same bytes, those to be turned away now, each as it was and as it is to be.

    The same bytes for MANY addresses of one host are a placeholder, unless one page shows them all:
    a page may show one picture at many addresses.
    """
    by_host: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if host := host_of(attempt.url):
            by_host[host].append(attempt)
    many = [a for mine in by_host.values() if _places(mine) >= MANY for a in mine]
    return [(a, _set_aside(a)) for a in many if a.reason in _COPIES]


def _places(attempts: Iterable[Attempt]) -> int:
    """How many addresses and, where known, pages there are; the lesser of both."""
    return min(len({a.url for a in attempts}), len({a.page_url or a.url for a in attempts}))


def _set_aside(attempt: Attempt) -> Attempt:
    """A kept picture's file stays; curation takes no notice of it, nor does taking a decision on it back."""
    status = Status.QUARANTINED if attempt.status == Status.KEPT else attempt.status
    return replace(attempt, status=status, reason=Reason.PLACEHOLDER, split="", group_id="")
