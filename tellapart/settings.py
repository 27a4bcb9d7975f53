"""Settings: read once from the environment, passed on as one value.

Every variable starts with TELLAPART_; nothing here has a secret as its default.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tellapart.errors import TellapartError, UsageError
from tellapart.files import why_unwritable


@dataclass(frozen=True)
class Settings:
    """Where things are and how to reach them.

    Attributes:
        home: folder of data sets, caches and the web page's state (TELLAPART_HOME, ~/.tellapart).
        host: address the servers listen on (TELLAPART_HOST, 127.0.0.1).
        web_port: port of the web page (TELLAPART_WEB_PORT, 5000).
        service_port: port of the service (TELLAPART_SERVICE_PORT, 3000).
        service_url: where clients find the service (TELLAPART_SERVICE_URL, from host and port).
        public_service_url: where people's programs find it, "" for there (TELLAPART_PUBLIC_SERVICE_URL).
        token: bearer token the service asks for, "" for none (TELLAPART_TOKEN).
        contact: how a web site's owner can reach who runs the collector (TELLAPART_CONTACT).
        robots: whether robots.txt is honoured (TELLAPART_ROBOTS, on; off where the owner has allowed it).
        openverse_url, wikimedia_url, inaturalist_url, flickr_url: the APIs pictures come from
            (TELLAPART_OPENVERSE_URL and so on).
        bing_url, duckduckgo_url, google_url: the image search pages a browser opens (TELLAPART_BING_URL and so on).
        flickr_key: the API key that Flickr asks for, "" for none (TELLAPART_FLICKR_KEY).
        gallery_folder: pictures the demo gallery shows (TELLAPART_GALLERY).
        chromium / chromedriver: the browser and its driver (TELLAPART_CHROMIUM, TELLAPART_CHROMEDRIVER).
        cache_url: a Redis URL for the web cache, "" for files (TELLAPART_CACHE_URL).
        database_url: a PostgreSQL URL for the web page's database, "" for SQLite (TELLAPART_DATABASE_URL).
        queue_url: a Redis URL for the queue of jobs, "" for SQLite (TELLAPART_QUEUE_URL).
        proxies: how many proxies in front of the web page are to be believed about who asks (TELLAPART_PROXIES, 0).
        smtp_url: the mail server, smtp://USER:PASSWORD@HOST:PORT or smtps://..., "" for no mail (TELLAPART_SMTP_URL).
        mail_from: the sender of its mails (TELLAPART_MAIL_FROM).
        web_url: where people find the web page, for links in mails (TELLAPART_WEB_URL, from host and port).
        model_memory: bytes that classifiers in the service's memory may take (TELLAPART_MODEL_MEMORY_MB, 2048).
        max_waiting: pictures that may be in one front of the service at once (TELLAPART_MAX_WAITING, 128).
        fronts: processes of the service that decode; 0: with a GPU one a core up to 16, else one (TELLAPART_FRONTS, 0).
        compiled: whether the service compiles backbones (TELLAPART_COMPILE, auto; on or off).
        log: what `tellapart serve` and `up` let the service write (TELLAPART_LOG, warning: what goes wrong; info: also
            a line a request and what it does to start).
    """

    home: Path
    host: str = "127.0.0.1"
    web_port: int = 5000
    service_port: int = 3000
    service_url: str = "http://127.0.0.1:3000"
    public_service_url: str = ""
    token: str = ""
    contact: str = ""
    robots: bool = True
    openverse_url: str = "https://api.openverse.org/v1"
    wikimedia_url: str = "https://commons.wikimedia.org/w/api.php"
    inaturalist_url: str = "https://api.inaturalist.org/v1"
    flickr_url: str = "https://api.flickr.com/services/rest"
    bing_url: str = "https://www.bing.com/images/search"
    duckduckgo_url: str = "https://duckduckgo.com/"
    google_url: str = "https://www.google.com/search"
    flickr_key: str = field(default="", repr=False)
    gallery_folder: Path = Path("/usr/share/tuxpaint/stamps")
    chromium: Path = Path("/usr/bin/chromium")
    chromedriver: Path = Path("/usr/bin/chromedriver")
    cache_url: str = ""
    database_url: str = field(default="", repr=False)
    queue_url: str = field(default="", repr=False)
    proxies: int = 0
    smtp_url: str = field(default="", repr=False)
    mail_from: str = "tellapart@localhost"
    web_url: str = "http://127.0.0.1:5000"
    model_memory: int = 2048 * 2**20
    max_waiting: int = 128
    fronts: int = 0
    compiled: str = "auto"
    log: str = "warning"

    @property
    def service_address(self) -> str:
        """The service's address to tell people."""
        return (self.public_service_url or self.service_url).rstrip("/")

    @property
    def datasets(self) -> Path:
        """Folder of the data sets known by name."""
        return self.home / "datasets"

    @property
    def cache(self) -> Path:
        """Folder of derived data that may be deleted at any time."""
        return self.home / "cache"


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings the environment asks for.

    Raises:
        UsageError: a port that is no port, a switch that is neither on nor off.
    """

    def text(name: str, default: str) -> str:
        return environ.get(f"TELLAPART_{name}") or default

    port = _port("TELLAPART_SERVICE_PORT", text("SERVICE_PORT", "3000"))
    web_port = _port("TELLAPART_WEB_PORT", text("WEB_PORT", "5000"))
    host = text("HOST", "127.0.0.1")
    return Settings(
        home=Path(text("HOME", "~/.tellapart")).expanduser().absolute(),
        host=host,
        web_port=web_port,
        service_port=port,
        service_url=text("SERVICE_URL", reachable(host, port)),
        public_service_url=text("PUBLIC_SERVICE_URL", ""),
        token=text("TOKEN", ""),
        contact=text("CONTACT", ""),
        robots=_switch("TELLAPART_ROBOTS", text("ROBOTS", "on")),
        openverse_url=text("OPENVERSE_URL", Settings.openverse_url).rstrip("/"),
        wikimedia_url=text("WIKIMEDIA_URL", Settings.wikimedia_url),
        inaturalist_url=text("INATURALIST_URL", Settings.inaturalist_url).rstrip("/"),
        flickr_url=text("FLICKR_URL", Settings.flickr_url).rstrip("/"),
        bing_url=text("BING_URL", Settings.bing_url),
        duckduckgo_url=text("DUCKDUCKGO_URL", Settings.duckduckgo_url),
        google_url=text("GOOGLE_URL", Settings.google_url),
        flickr_key=text("FLICKR_KEY", ""),
        gallery_folder=Path(text("GALLERY", str(Settings.gallery_folder))),
        chromium=Path(text("CHROMIUM", str(Settings.chromium))),
        chromedriver=Path(text("CHROMEDRIVER", str(Settings.chromedriver))),
        cache_url=text("CACHE_URL", ""),
        model_memory=_number("TELLAPART_MODEL_MEMORY_MB", text("MODEL_MEMORY_MB", "2048")) * 2**20,
        max_waiting=_number("TELLAPART_MAX_WAITING", text("MAX_WAITING", "128")),
        fronts=_number("TELLAPART_FRONTS", text("FRONTS", "0"), least=0),
        compiled=_one_of("TELLAPART_COMPILE", text("COMPILE", "auto").lower(), ("auto", "on", "off")),
        log=_one_of("TELLAPART_LOG", text("LOG", "warning").lower(), ("warning", "info")),
        database_url=text("DATABASE_URL", ""),
        queue_url=text("QUEUE_URL", ""),
        proxies=_number("TELLAPART_PROXIES", text("PROXIES", "0"), least=0),
        smtp_url=text("SMTP_URL", ""),
        mail_from=text("MAIL_FROM", Settings.mail_from),
        web_url=text("WEB_URL", reachable(host, web_port)).rstrip("/"),
    )


def check_home(settings: Settings) -> None:
    """Refuse a home that nothing can be written into, before any work is done.

    Raises:
        TellapartError: why.
    """
    if reason := why_unwritable(settings.home):
        fix = "Check the folder and its permissions, or set TELLAPART_HOME to another"
        raise TellapartError(f"cannot write into {settings.home}: {reason}", fix)


def reachable(host: str, port: int) -> str:
    """The address at which a program on this machine finds what listens on a host and port."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _port(name: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UsageError(f"{name}={text!r} is not a port", "Use a number from 1 to 65535")
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise UsageError(f"{name}={text!r} is neither on nor off", "Use on or off")
    return text.lower() == "on"


def _number(name: str, text: str, least: int = 1) -> int:
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) < 10**7:
        raise UsageError(f"{name}={text!r} is not a number", f"Use a whole number from {least} on")
    return int(text)


def _one_of(name: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise UsageError(f"{name}={text!r} is not known", f"Use one of: {', '.join(allowed)}")
    return text
