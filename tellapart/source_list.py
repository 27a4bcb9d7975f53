"""The sources in a line each, for people who choose among them; `scraping.sources` has the sources themselves."""

from dataclasses import dataclass

from tellapart.settings import Settings


@dataclass(frozen=True)
class SourceInfo:
    """A source as people see it.

    Attributes:
        word: what asks for it, see `scraping.sources`.
        title, about: its name, and what it gives.
        licensed: whether it names the licences of its pictures.
        rate: pictures a second to expect of it where nothing was measured yet.
    """

    word: str
    title: str
    about: str
    licensed: bool
    rate: float


SOURCES = (
    SourceInfo("openverse", "Openverse", "openly licensed pictures of every kind", True, 3.0),
    SourceInfo("wikimedia", "Wikimedia Commons", "freely licensed pictures, strong on places and things", True, 3.0),
    SourceInfo("inaturalist", "iNaturalist", "observations of animals, plants and fungi", True, 2.0),
    SourceInfo("flickr", "Flickr", "openly licensed photographs", True, 3.0),
    SourceInfo("gallery", "Demo gallery", "demo pictures on this computer: birds, fruit and more", True, 30.0),
    SourceInfo("bing", "Bing", "its terms restrict automated queries", False, 2.0),
    SourceInfo("duckduckgo", "DuckDuckGo", "its terms restrict automated queries", False, 2.0),
    SourceInfo("google", "Google", "its terms restrict automated queries", False, 2.0),
)
FOLDER_RATE = 100.0


def lacking(source: SourceInfo, settings: Settings) -> str:
    """What a source lacks on this machine before it can be asked, "" for nothing.

    With a queue that other machines reach, the worker may be one of them, of which nothing is known here.
    """
    if source.word == "flickr" and not settings.flickr_key:
        return "needs an API key in TELLAPART_FLICKR_KEY"
    if settings.queue_url:
        return ""
    if source.word == "gallery" and not settings.gallery_folder.is_dir():
        return "needs the package tuxpaint-stamps-default"
    if source.word in ("bing", "duckduckgo", "google", "gallery") and not settings.chromium.exists():
        return "needs Chromium on this computer"
    return ""
