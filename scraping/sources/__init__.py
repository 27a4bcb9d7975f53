"""The sources there are, by the word that asks for each: WORD, or WORD:PATH for one's own pictures or sites."""

from collections.abc import Callable
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
    "flickr": FlickrSource,
    "gallery": GallerySource,
    "google": google,
    "inaturalist": INaturalistSource,
    "openverse": OpenverseSource,
    "wikimedia": WikimediaSource,
}
PATH_SOURCES: dict[str, tuple[str, Callable[[Path, Settings], Source]]] = {
    "folder": ("PATH", lambda path, _: FolderSource(path)),
    "site": ("RECIPE", site),
    "urls": ("PATH", lambda path, _: UrlsSource(path)),
}


def make_source(spec: str, settings: Settings) -> Source:
    """The source a word asks for; nothing is started or contacted before its first search.

    Raises:
        UsageError: there is no such source, or its path is missing from the word.
        DataError: the path cannot be read as what the source needs.
    """
    word, colon, path = spec.partition(":")
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
    return sorted([*SOURCES, *(f"{word}:{what}" for word, (what, _) in PATH_SOURCES.items())])
