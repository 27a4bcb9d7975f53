"""What a result rests on: where the classifier looked, and which pictures it learned from are most alike."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tellapart.wire import Explanation, NeighbourList
from webui.answers import KeyValues
from webui.client import ServiceClient

_Schema = TypeVar("_Schema", bound=BaseModel)


class Explanations:
    """Asked of the service when somebody wants to see them, and kept as answers are; failures never.

    Methods raise what `ServiceClient` raises.
    """

    def __init__(self, client: ServiceClient, cache: KeyValues) -> None:
        self._client, self._cache = client, cache

    def heat_map(self, digest: str, picture: bytes, tag: str, class_name: str) -> Explanation:
        """Where it looked for a class; `digest` is of the picture as it was sent."""
        key = f"explain:{digest}:{tag}:{class_name}"
        return self._kept(key, Explanation, lambda: self._client.explain(picture, tag, class_name))

    def nearest(self, digest: str, picture: bytes, tag: str) -> NeighbourList:
        """The pictures it learned from that are most like this one."""
        return self._kept(f"nearest:{digest}:{tag}", NeighbourList, lambda: self._client.nearest(picture, tag))

    def _kept(self, key: str, schema: type[_Schema], ask: Callable[[], _Schema]) -> _Schema:
        try:
            return schema.model_validate(self._cache.get(key))
        except ValidationError:
            answer = ask()
        self._cache.set(key, answer.model_dump(mode="json"))
        return answer
