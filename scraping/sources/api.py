"""Asking a JSON API, politely, and saying in one line what it refused."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from scraping.failures import OFFLINE, RETRIED, in_words, seconds_to_wait
from scraping.fetch import user_agent
from scraping.limits import FetchLimits
from scraping.source import Blocked, LayoutChanged, Unavailable
from tellapart.settings import Settings

MOST_BYTES = 20 * 2**20
_LIMITS = FetchLimits()
_TIMEOUT = 20.0
_LONGEST_ANSWER = 60.0

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class JsonApi:
    """One site's API. What may pass is tried again after the time the site asks for, if that is short."""

    def __init__(
        self, name: str, settings: Settings, interval: float = 0, sleep: Sleep = time.sleep, busy: str = ""
    ) -> None:
        """Nothing is contacted before the first `get`.

        Args:
            name: the site's, for error messages.
            settings: for the contact in the user agent.
            interval: seconds between the starts of two requests at least.
            sleep: waits.
            busy: an answer with this header also says that the site is busy now.
        """
        self._name, self._agent = name, user_agent(settings)
        self._interval, self._sleep, self._busy = interval, sleep, busy
        self._client: httpx.Client | None = None
        self._next = 0.0

    def get(self, url: str, query: Mapping[str, str | int], ends: Collection[int] = ()) -> dict[str, Any]:
        """The JSON object at an address; empty where the status is one of `ends`.

        Raises:
            Blocked: the site refused.
            Unavailable: it cannot be reached, or is busy for longer than it is worth waiting.
            LayoutChanged: the answer is no JSON object, or one of more than `MOST_BYTES`.
        """
        answer = self._patiently(url, query)
        if answer.status in ends:
            return {}
        self._check(answer)
        with known_form(self._name):
            return dict(json.loads(answer.body))

    def close(self) -> None:
        """Close the connection; a later `get` opens it anew."""
        if self._client:
            self._client.close()
            self._client = None

    def _patiently(self, url: str, query: Mapping[str, str | int]) -> _Answer:
        for tried in range(1, _LIMITS.tries):
            answer = self._send(url, query)
            wait = max(seconds_to_wait(answer.headers.get("Retry-After", "")), 2.0 ** (tried - 1))
            if not self._is_passing(answer) or wait > _LIMITS.longest_wait:
                return answer
            self._sleep(wait)
        return self._send(url, query)

    def _is_passing(self, answer: _Answer) -> bool:
        return answer.status in RETRIED or bool(self._busy and self._busy in answer.headers)

    def _send(self, url: str, query: Mapping[str, str | int]) -> _Answer:
        self._client = self._client or httpx.Client(
            timeout=_TIMEOUT, trust_env=False, headers={"User-Agent": self._agent, "Accept-Encoding": "gzip, deflate"}
        )
        if (wait := self._next - time.monotonic()) > 0:
            self._sleep(wait)
        self._next = time.monotonic() + self._interval
        try:
            with self._client.stream("GET", url, params=dict(query)) as answer:
                return _Answer(answer.status_code, answer.headers, self._read(answer))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            where = url.partition("?")[0]
            raise Unavailable(f"{self._name} cannot be reached at {where}: {in_words(error)}", OFFLINE) from error

    def _read(self, answer: httpx.Response) -> bytes:
        data, ends = bytearray(), time.monotonic() + _LONGEST_ANSWER
        for chunk in answer.iter_bytes():
            data += chunk
            if len(data) > MOST_BYTES:
                raise LayoutChanged(
                    f"{self._name} answered with more than {MOST_BYTES >> 20} MB", "Update this program"
                )
            if time.monotonic() > ends:
                raise Unavailable(f"{self._name} took more than {_LONGEST_ANSWER:.0f} s to answer", "Try again later")
        return bytes(data)

    def _check(self, answer: _Answer) -> None:
        status = answer.status
        if status == 429:
            wait = answer.headers.get("Retry-After")
            when = f"Run the same command again in {wait} seconds" if wait else "Run the same command again later"
            raise Unavailable(f"{self._name} asks to slow down (HTTP status 429)", when)
        if status in (401, 403):
            raise Blocked(
                f"{self._name} refused the request (HTTP status {status})",
                "Set TELLAPART_CONTACT so that it can see who asks, or try again tomorrow",
            )
        if status != 200:
            raise Unavailable(f"{self._name} answered with HTTP status {status}", "Try again later")


@contextmanager
def known_form(name: str) -> Iterator[None]:
    """Turn what reading an answer of another form raises into LayoutChanged."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        what = "no JSON" if isinstance(error, json.JSONDecodeError) else "something is missing or of another kind"
        raise LayoutChanged(
            f"{name} answered in a form this program does not know: {what}", "Update this program"
        ) from error
