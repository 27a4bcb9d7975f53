"""What a source is: it is asked for a class and yields candidates; it never downloads or writes.

SourceError
  NoResults       it was asked and has nothing for this query
  LayoutChanged   it answered something this program does not know how to read
  Unavailable     it cannot be reached, or lacks something on this machine
    Blocked       it refused: a captcha, a block page, a status that says so
    LedAstray     one of its pages leads where the browser may not go

Each kind names its stage in one word, `reason`.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from tellapart.errors import SourceError
from tellapart.names import ClassName


class NoResults(SourceError):
    """The source was asked and has nothing for the query."""

    reason: ClassVar[str] = "no_results"


class LayoutChanged(SourceError):
    """The source's pages or answers are not as its module expects them."""

    reason: ClassVar[str] = "layout_changed"


class Unavailable(SourceError):
    """The source cannot be asked now; asking it for another class would end the same way."""

    reason: ClassVar[str] = "unavailable"


class Blocked(Unavailable):
    """The source refused to be asked by a program; that is taken as its answer."""

    reason: ClassVar[str] = "blocked"


class LedAstray(Unavailable):
    """A page of the source leads to a file or to a machine that is no public one."""

    reason: ClassVar[str] = "refused_address"


def whole_text(text: str) -> str:
    """Text without halves of characters (lone surrogates), which sites may send and no file or database takes."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class Candidate:
    """A picture that a source points at, and what the source says about it; its texts are made whole.

    Attributes:
        url: identity of the picture, the same in every run; it is what the manifest keeps.
        source: name of the source.
        query: what the source was asked for.
        rank: place in the source's results, from 0.
        location: where its bytes are now, for a site whose addresses change; "" where `url` is the place.
        page_url: the page that shows it to people.
        title, license, license_url, author, attribution: as the source says them, "" where it does not.
    """

    url: str
    source: str
    query: str
    rank: int
    location: str = ""
    page_url: str = ""
    title: str = ""
    license: str = ""
    license_url: str = ""
    author: str = ""
    attribution: str = ""

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            if isinstance(value, str) and not value.isascii():
                object.__setattr__(self, name, whole_text(value))


class Source(Protocol):
    """Where candidates come from.

    Attributes:
        name: the same for the same source in every run; the manifest keeps it.
        local: its pictures may be files or stand on a loopback address.
        remembered: a search that was asked to the end is written down and not asked again. False where
            asking costs nothing, so that what was added since is found, and where only what is new is
            asked for, which is no search to the end.
    """

    @property
    def name(self) -> str: ...

    @property
    def local(self) -> bool: ...

    @property
    def remembered(self) -> bool: ...

    def search(self, class_name: ClassName, query: str) -> Generator[Candidate, None, None]:
        """A generator of candidates, best first, that looks no further than it is asked to.

        It runs in one thread and may be closed early; one search of a source runs at a time.

        Raises:
            SourceError: one of the kinds above; candidates yielded before it stay good.
        """
        ...

    def close(self) -> None:
        """Release what searching took (a browser, a connection); a later search takes it anew."""
        ...
