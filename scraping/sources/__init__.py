"""The sources there are, by the word that asks for each: WORD, or WORD:PATH for one's own pictures or sites."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from scraping.source import Source
from scraping.sources.bing import bing
from scraping.sources.duckduckgo import duckduckgo
from scraping.sources.flickr import FlickrSource
from scraping.sources.folder import FolderSource
from scraping.sources.gallery.source import GallerySource
from scraping.sources.google import google
from scraping.sources.inaturalist import INaturalistSource
from scraping.sources.openverse import OpenverseSource
from scraping.sources.site import site
from scraping.sources.urls import UrlsSource
from scraping.sources.wikimedia import WikimediaSource
from tellapart.errors import UsageError
from tellapart.settings import Settings

SOURCES: dict[str, Callable[[Settings], Source]] = {
    "bing": bing,
    "duckduckgo": duckduckgo,
    "gallery": GallerySource,
    "google": google,
    "openverse": OpenverseSource,
}
DATED_SOURCES: dict[str, Callable[[Settings, date | None], Source]] = {
    "flickr": FlickrSource,
    "inaturalist": INaturalistSource,
    "wikimedia": WikimediaSource,
}
PATH_SOURCES: dict[str, tuple[str, Callable[[Path, Settings], Source]]] = {
    "folder": ("PATH", lambda path, _: FolderSource(path)),
    "site": ("RECIPE", site),
    "urls": ("PATH", lambda path, _: UrlsSource(path)),
}


def make_source(spec: str, settings: Settings, since: date | None = None) -> Source:
    """The source a word asks for; nothing is started or contacted before its first search.

    Args:
        spec: the word, with its path where it needs one.
        settings: how to reach it.
        since: ask only for what the source got on this day (UTC) or later.

    Raises:
        UsageError: there is no such source, its path is missing from the word, or it cannot say what is new.
        DataError: the path cannot be read as what the source needs.
    """
    word, colon, path = spec.partition(":")
    if word in DATED_SOURCES and not colon:
        return DATED_SOURCES[word](settings, since)
    if since and (word in SOURCES or word in PATH_SOURCES):
        raise UsageError(
            f"source {word!r} cannot be asked only for what is new",
            f"Leave out --since, or use {', '.join(DATED_SOURCES)}",
        )
    if word in SOURCES and not colon:
        return SOURCES[word](settings)
    if word in PATH_SOURCES:
        what, make = PATH_SOURCES[word]
        if path:
            return make(Path(path).expanduser().absolute(), settings)
        raise UsageError(f"source {word!r} needs a path", f"Write {word}:{what}")
    raise UsageError(f"there is no source {spec!r}", f"Use one of: {', '.join(source_words())}")


def source_words() -> list[str]:
    """How each source is asked for, as help texts show it."""
    return sorted([*SOURCES, *DATED_SOURCES, *(f"{word}:{what}" for word, (what, _) in PATH_SOURCES.items())])
