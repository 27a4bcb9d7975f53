"""The one client of the service."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from tellapart.errors import TellapartError
from tellapart.wire import (
    DEFAULT_NEIGHBOURS,
    DEFAULT_TOP_K,
    HTTP_STATUS,
    BatchResult,
    ErrorBody,
    Explanation,
    ModelList,
    NeighbourList,
    Result,
    ServiceError,
)

_TIMEOUT = httpx.Timeout(60, connect=2, pool=10)
_QUICK = httpx.Timeout(5, connect=2, pool=5)
_POOL = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30)
_FILE = ("picture", "application/octet-stream")
_Schema = TypeVar("_Schema", bound=BaseModel)
_Files = Sequence[tuple[str, tuple[str, bytes, str]]]


class Unavailable(TellapartError):
    """The service cannot answer now; `retry_after` is in seconds."""

    def __init__(self, what: str, retry_after: int = 5) -> None:
        super().__init__(what, "Try again in a moment")
        self.retry_after = retry_after


class ServiceClient:
    """Asks the service. One instance is shared by all threads and keeps its connections.

    Every method raises:
        ServiceError: the service refused the request, with its code and message.
        Unavailable: it is down, overloaded, or answered something that is no answer.
    """

    def __init__(self, url: str, token: str = "", transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT, limits=_POOL, transport=transport, trust_env=False
        )

    def models(self) -> ModelList:
        """All classifier versions the service answers with."""
        return _parse(self._ask("GET", "/models", timeout=_QUICK), ModelList)

    def classify(self, data: bytes, model: str, top_k: int = DEFAULT_TOP_K) -> Result:
        """The answer for one picture's bytes; `model` is an exact tag."""
        return _parse(self._ask("POST", "/classify", _options(model, top_k), _one(data)), Result)

    def classify_batch(self, pictures: Sequence[bytes], model: str, top_k: int = DEFAULT_TOP_K) -> BatchResult:
        """The answers for several pictures, in their order; a bad one has an error in its place."""
        files = [("images", (_FILE[0], data, _FILE[1])) for data in pictures]
        answer = _parse(self._ask("POST", "/classify_batch", _options(model, top_k), files), BatchResult)
        if len(answer.results) != len(pictures):
            raise Unavailable(f"the service answered {len(answer.results)} of {len(pictures)} pictures")
        return answer

    def explain(self, data: bytes, model: str, class_name: str) -> Explanation:
        """Where in a picture the classifier with that exact tag looked for a class."""
        response = self._ask("POST", "/explain", {"model": model, "class": class_name}, _one(data))
        return _parse(response, Explanation)

    def nearest(self, data: bytes, model: str, count: int = DEFAULT_NEIGHBOURS) -> NeighbourList:
        """The pictures that the classifier with that exact tag learned from and that are most like this one."""
        response = self._ask("POST", "/nearest", {"model": model, "count": str(count)}, _one(data))
        return _parse(response, NeighbourList)

    def report(self, tag: str) -> str:
        """The training report of a classifier version, a self-contained HTML page."""
        return self._ask("GET", f"/reports/{quote(tag)}").text

    def ready(self) -> bool:
        """Whether the service says it is ready; raises nothing."""
        try:
            return self._http.get("/readyz", timeout=_QUICK).is_success
        except httpx.HTTPError:
            return False

    def _ask(
        self,
        method: str,
        path: str,
        data: Mapping[str, str] | None = None,
        files: _Files | None = None,
        timeout: httpx.Timeout = _TIMEOUT,
    ) -> httpx.Response:
        try:
            response = self._http.request(method, path, data=data, files=files, timeout=timeout)
        except httpx.TimeoutException as error:
            raise Unavailable("the service takes too long to answer") from error
        except httpx.HTTPError as error:
            raise Unavailable("the service cannot be reached") from error
        if response.is_success:
            return response
        raise _refusal(response)


def _one(data: bytes) -> _Files:
    return [("image", (_FILE[0], data, _FILE[1]))]


def _options(model: str, top_k: int) -> dict[str, str]:
    return {"model": model, "top_k": str(top_k)}


def _parse(response: httpx.Response, schema: type[_Schema]) -> _Schema:
    try:
        return schema.model_validate_json(response.content)
    except ValidationError as error:
        raise Unavailable(f"{response.url} answered something that is no {schema.__name__}") from error


def _refusal(response: httpx.Response) -> TellapartError:
    """What the service's error answer means to whoever asked the web page."""
    if response.status_code == 401:
        return Unavailable("the service does not accept this web page's token (TELLAPART_TOKEN)")
    if response.status_code in (429, 503):
        return Unavailable("the service is busy or not ready yet", _retry_after(response.headers))
    try:
        problem = ErrorBody.model_validate_json(response.content).error
    except ValidationError:
        return Unavailable(f"the service answered {response.status_code} without a reason")
    if problem.code not in HTTP_STATUS or response.status_code >= 500:
        return Unavailable(f"the service answered {response.status_code}: {problem.message}")
    return ServiceError(problem.code, problem.message)


def _retry_after(headers: Mapping[str, Any]) -> int:
    text = str(headers.get("Retry-After", ""))
    return min(int(text), 600) if text.isdecimal() else 5
