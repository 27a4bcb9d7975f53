"""Why a download failed, in the manifest's words."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import httpx

from tellapart.addresses import RefusedAddress
from tellapart.errors import TellapartError
from tellapart.pictures import REASON_TEXT, Reason, Status

_SETTLED = {
    Reason.NOT_FOUND,
    Reason.TOO_LARGE,
    Reason.REFUSED_ADDRESS,
    Reason.BAD_URL,
    Reason.TOO_MANY_REDIRECTS,
    Reason.ROBOTS,
    Reason.NOAI,
}
_BY_STATUS = {
    401: Reason.FORBIDDEN,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    408: Reason.TIMEOUT,
    410: Reason.NOT_FOUND,
    429: Reason.RATE_LIMITED,
    451: Reason.FORBIDDEN,
}
_IN_WORDS: Mapping[type[BaseException], str] = {
    socket.gaierror: "its name cannot be looked up, as where there is no network",
    ConnectionRefusedError: "nobody answers there",
    ConnectionResetError: "it broke the connection off",
    TimeoutError: "it took too long",
    httpx.TimeoutException: "it took too long",
    httpx.InvalidURL: "the address cannot be read",
}
OFFLINE = "Check the connection, or use a source that needs none: gallery (the demo) or folder:PATH"
RETRIED = {408, 429, 500, 502, 503, 504}


class FetchFailed(TellapartError):
    """A download that did not end in bytes.

    Attributes:
        reason: from the manifest's list.
        passing: whether another try, a little later, may end differently.
        wait: seconds the site asked to wait before it; 0 where it did not say.
        http_status: what the site answered with, 0 where that is not the cause.
    """

    def __init__(
        self, reason: Reason, detail: str = "", passing: bool = False, wait: float = 0, http_status: int = 0
    ) -> None:
        super().__init__(detail or REASON_TEXT[reason])
        self.reason, self.passing, self.wait, self.http_status = reason, passing, wait, http_status

    @property
    def status(self) -> Status:
        """What the manifest says: REJECTED where the address itself is at fault, else FAILED, tried again next run."""
        return Status.REJECTED if self.reason in _SETTLED else Status.FAILED


def check_status(answer: aiohttp.ClientResponse) -> None:
    """Refuse an answer that is not 200.

    Raises:
        FetchFailed: with the reason its status stands for.
    """
    if answer.status != 200:
        reason = _BY_STATUS.get(answer.status, Reason.HTTP_ERROR)
        wait = seconds_to_wait(answer.headers.get("Retry-After", ""))
        passing = answer.status in RETRIED
        raise FetchFailed(reason, f"HTTP status {answer.status}", passing, wait, answer.status)


def seconds_to_wait(header: str) -> float:
    """The seconds a Retry-After header asks for, 0 where it is missing or unreadable."""
    text = header.strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text).astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return 0


@contextmanager
def told_by_aiohttp() -> Iterator[None]:
    """Turn what aiohttp raises into FetchFailed."""
    try:
        yield
    except TimeoutError:
        raise FetchFailed(Reason.TIMEOUT) from None
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise FetchFailed(Reason.BAD_TLS, _named(getattr(error, "os_error", error))) from error
    except ValueError:  # aiohttp.InvalidURL, and host names that cannot be looked up
        raise FetchFailed(Reason.BAD_URL) from None
    except aiohttp.ClientPayloadError:
        raise FetchFailed(Reason.TRUNCATED, "the connection ended before the file did", passing=True) from None
    except aiohttp.ClientResponseError as error:
        raise FetchFailed(Reason.HTTP_ERROR, "what the site answered is no HTTP that can be read") from error
    except aiohttp.ClientConnectorError as error:
        raise _unconnected(error) from error
    except (aiohttp.ClientError, OSError) as error:
        raise FetchFailed(Reason.UNREACHABLE, _named(error), passing=True) from error


def _unconnected(error: aiohttp.ClientConnectorError) -> FetchFailed:
    if isinstance(error.os_error, RefusedAddress):
        return FetchFailed(Reason.REFUSED_ADDRESS, f"{error.host} is not at a public address")
    return FetchFailed(Reason.UNREACHABLE, _named(error.os_error))


def in_words(error: BaseException) -> str:
    """Why nothing was to be reached, as people say it: what lies under an exception decides, not its name."""
    below: BaseException | None = error
    while below is not None:
        for kind, words in _IN_WORDS.items():
            if isinstance(below, kind):
                return words
        below = below.__cause__ or below.__context__
    said = error.strerror if isinstance(error, OSError) else None
    return f"the connection failed ({said.lower()})" if said else "the connection failed"


def _named(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no safe connection: {error.reason or 'TLS failed'}"
    return in_words(error)
