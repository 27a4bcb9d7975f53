"""Answers for pictures, kept under the pictures' bytes: the same bytes are asked about once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from tellapart.images import DEFAULT_LIMITS, ImageFault, sha256
from tellapart.wire import ErrorBody, Problem, Result, ServiceError
from webui.client import ServiceClient

_PICTURE_FAULTS = {fault.value for fault in ImageFault}
_CHUNK_PICTURES = 32  # as many as the service computes at once
_CHUNK_BYTES = 32 * 2**20


class KeyValues(Protocol):
    """The part of a cache that is needed here."""

    def get(self, key: str) -> Any:
        """The value, None where there is none."""

    def set(self, key: str, value: Any) -> Any:
        """Keep a value."""


@dataclass(frozen=True)
class Question:
    """What is asked about a picture: which version, by exact tag, and how many classes to name."""

    tag: str
    top_k: int

    def key(self, digest: str) -> str:
        """Where the answer for the picture with this sha256 is kept."""
        return f"answer:{digest}:{self.tag}:{self.top_k}"


@dataclass(frozen=True)
class Answer:
    """A result, or what is wrong with the picture."""

    digest: str
    outcome: Result | Problem
    from_cache: bool = False


class Answers:
    """Asks the service about what is not known yet. Only results are kept, never a failure."""

    def __init__(self, client: ServiceClient, cache: KeyValues) -> None:
        self._client, self._cache = client, cache

    def answer(self, pictures: Iterable[bytes], question: Question) -> list[Answer]:
        """One answer for each picture, in their order.

        Raises:
            ServiceError: the question is wrong, such as `unknown_model`.
            Unavailable: the service cannot answer; what it had answered is kept.
        """
        digests = [(sha256(data), data) for data in pictures]
        kept = {digest: self._kept(digest, question) for digest, _ in digests}
        fresh = self._ask({digest: data for digest, data in digests if kept[digest] is None}, question)
        return [_answer(digest, kept[digest], fresh) for digest, _ in digests]

    def _kept(self, digest: str, question: Question) -> Result | None:
        """The answer in the cache; an entry that is no answer to this question is a miss."""
        try:
            result = Result.model_validate(self._cache.get(question.key(digest)))
        except ValidationError:
            return None
        return result if result.model == question.tag else None

    def _ask(self, pictures: Mapping[str, bytes], question: Question) -> dict[str, Result | Problem]:
        outcomes: dict[str, Result | Problem] = {d: p for d, data in pictures.items() if (p := _refuse(data))}
        for chunk in _chunks({d: data for d, data in pictures.items() if d not in outcomes}):
            for digest, outcome in zip(chunk, self._ask_service(list(chunk.values()), question), strict=True):
                outcomes[digest] = outcome
                if isinstance(outcome, Result):
                    self._cache.set(question.key(digest), outcome.model_dump(mode="json"))
        return outcomes

    def _ask_service(self, pictures: list[bytes], question: Question) -> list[Result | Problem]:
        if len(pictures) > 1:
            batch = self._client.classify_batch(pictures, question.tag, question.top_k)
            return [r.error if isinstance(r, ErrorBody) else r for r in batch.results]
        try:
            return [self._client.classify(pictures[0], question.tag, question.top_k)]
        except ServiceError as error:
            if error.code not in _PICTURE_FAULTS:
                raise
            return [Problem(code=error.code, message=str(error))]


def _answer(digest: str, kept: Result | None, fresh: Mapping[str, Result | Problem]) -> Answer:
    return Answer(digest, fresh[digest]) if kept is None else Answer(digest, kept, from_cache=True)


def _refuse(data: bytes) -> Problem | None:
    """What is known to be wrong without asking."""
    if not data:
        return Problem(code=ImageFault.EMPTY, message="the file is empty. Choose a picture")
    if len(data) > DEFAULT_LIMITS.max_bytes:
        found, most = len(data) / 2**20, DEFAULT_LIMITS.max_bytes / 2**20
        message = f"the picture has {found:.1f} MB; at most {most:.0f} MB are taken. Make it smaller"
        return Problem(code=ImageFault.TOO_LARGE, message=message)
    return None


def _chunks(pictures: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    """Parts of a size the service takes in one request."""
    chunk: dict[str, bytes] = {}
    for digest, data in pictures.items():
        if chunk and (len(chunk) == _CHUNK_PICTURES or sum(map(len, chunk.values())) + len(data) > _CHUNK_BYTES):
            yield chunk
            chunk = {}
        chunk[digest] = data
    if chunk:
        yield chunk
