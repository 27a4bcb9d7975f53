"""No web site is to be a whole class: how many pictures of one class may come from each host."""

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

SHARE = 0.3


class HostShare:
    """The pictures of one class by host, kept or being fetched; files and other addresses without a host are free."""

    def __init__(self, per_class: int, urls: Iterable[str]) -> None:
        """Takes the pictures wanted of the class and the addresses of those it has."""
        self._limit = max(1, int(SHARE * per_class))
        self._taken = Counter(map(host_of, urls))

    def has_room(self, url: str) -> bool:
        """Whether one more picture may come from the address's host."""
        host = host_of(url)
        return not host or self._taken[host] < self._limit

    def take(self, url: str) -> None:
        """Count a picture."""
        self._taken[host_of(url)] += 1

    def give_back(self, url: str) -> None:
        """Count one less: it was not kept."""
        self._taken[host_of(url)] -= 1


def host_of(url: str) -> str:
    """The host of an address, "" where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
