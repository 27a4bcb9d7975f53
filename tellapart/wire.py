"""The wire schema: what the service answers and what its clients read."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tellapart.errors import TellapartError
from tellapart.images import ImageError, ImageFault

MAX_BATCH_IMAGES = 64
DEFAULT_TOP_K = 5
DEFAULT_NEIGHBOURS = 6

HTTP_STATUS = {
    "empty": 400,
    "not_an_image": 400,
    "truncated": 400,
    "bad_request": 400,
    "unauthorized": 401,
    "no_neighbours": 404,
    "not_found": 404,
    "unknown_class": 404,
    "unknown_model": 404,
    "method_not_allowed": 405,
    "too_slow": 408,
    "too_large": 413,
    "unsupported_type": 415,
    "wrong_field": 422,
    "headers_too_large": 431,
    "internal": 500,
    "not_ready": 503,
    "overloaded": 503,
    "unusable_model": 503,
}


class ServiceError(TellapartError):
    """A request that is answered with an error; `code` is a key of HTTP_STATUS."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def status(self) -> int:
        """The HTTP status of this error."""
        return HTTP_STATUS[self.code]

    def body(self) -> dict[str, Any]:
        """The JSON body: {"error": {"code": ..., "message": ...}}."""
        return ErrorBody(error=Problem(code=self.code, message=str(self))).model_dump()


class _Schema(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True, extra="ignore")


class Prediction(_Schema):
    """One class and its calibrated probability."""

    class_name: str = Field(alias="class")
    confidence: float


class ImageSize(_Schema):
    """Size of the picture as shown, in pixels."""

    width: int
    height: int


class Result(_Schema):
    """The answer for one picture; `predictions` is sorted, most confident first."""

    model: str
    top: str
    confidence: float
    none_of_these: bool
    predictions: list[Prediction]
    image: ImageSize
    time_ms: float


class Problem(_Schema):
    """What went wrong: a code for programs, one line for people."""

    code: str
    message: str


class ErrorBody(_Schema):
    """The body of every error answer."""

    error: Problem


class BatchResult(_Schema):
    """The answers of one batch, in the order the pictures came; one bad picture fails only itself."""

    model: str
    results: list[Result | ErrorBody]


class Explanation(_Schema):
    """Why a picture gets a class: a sentence for people, and a heat map as a base64 PNG to lay over the picture."""

    model: str
    class_name: str = Field(alias="class")
    confidence: float
    sentence: str
    heat_map: str


class NeighbourPicture(_Schema):
    """A picture the classifier learned from: digest of its bytes, its class, and how alike it is (cosine)."""

    sha256: str
    class_name: str = Field(alias="class")
    similarity: float


class NeighbourList(_Schema):
    """The pictures it learned from that are most like the one sent, nearest first."""

    model: str
    neighbours: list[NeighbourPicture]


class ModelSummary(_Schema):
    """One classifier version the service can answer with; accuracy and its 95 % interval are fractions.

    Where `says_none` is false it always answers one of its classes.
    """

    model: str
    name: str
    version: str
    promoted: bool
    classes: list[str]
    created: str
    backbone: str
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    says_none: bool = True


class ModelList(_Schema):
    """All versions, and the one a request gets that names none (None where there is none)."""

    default: str | None
    models: list[ModelSummary]


def image_error(error: ImageError) -> ServiceError:
    """The answer for a picture that cannot be used."""
    return ServiceError(ImageFault(error.fault).value, str(error))


def make_result(
    model: str,
    classes: Sequence[str],
    probabilities: Sequence[float],
    size: tuple[int, int],
    *,
    top_k: int = DEFAULT_TOP_K,
    reject_threshold: float | None = None,
    none_of_these: bool = False,
    time_ms: float = 0.0,
) -> Result:
    """The answer for one picture.

    Args:
        model: exact tag, NAME:VERSION.
        classes: class names in class index order, (C,).
        probabilities: calibrated, in the same order, (C,); softmax was applied already.
        size: (width, height) of the picture as shown.
        reject_threshold: below this top confidence the answer is "none of these".
        none_of_these: the head's own rule says so.
    """
    order = sorted(range(len(classes)), key=probabilities.__getitem__, reverse=True)
    best = order[0]
    return Result.model_validate(
        {
            "model": model,
            "top": classes[best],
            "confidence": round(probabilities[best], 6),
            "none_of_these": none_of_these or (reject_threshold is not None and probabilities[best] < reject_threshold),
            "predictions": [{"class": classes[i], "confidence": round(probabilities[i], 6)} for i in order[:top_k]],
            "image": {"width": size[0], "height": size[1]},
            "time_ms": round(time_ms, 2),
        }
    )
