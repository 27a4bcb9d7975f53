"""Judging one picture for a data set: what it is, or why it is turned away."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import imagehash
import numpy as np

from tellapart.errors import DataError
from tellapart.images import DEFAULT_LIMITS, ImageError, Limits, look_over, sha256

MIN_SIDE = 32
_HASH_DETAIL = 128


class Status(StrEnum):
    """What became of an attempt."""

    KEPT = "kept"
    REJECTED = "rejected"  # a fact about the picture; the same URL is not asked again
    FAILED = "failed"  # a fault on the way; the next run tries again
    QUARANTINED = "quarantined"  # taken out by curation, its file still there


class Reason(StrEnum):
    """Why: the closed list that the manifest and the report use. `REASON_TEXT` has the words."""

    OK = "ok"
    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_TYPE = "unsupported_type"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    LEAK = "leak"
    REMOVED = "removed"
    MOVED = "moved"
    HTTP_ERROR = "http_error"
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED_ADDRESS = "refused_address"
    BAD_URL = "bad_url"
    UNREADABLE = "unreadable"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    TOO_SLOW = "too_slow"
    BAD_TLS = "bad_tls"
    CIRCUIT_OPEN = "circuit_open"
    ROBOTS = "robots"
    NOAI = "noai"
    LICENSE = "license"
    PLACEHOLDER = "placeholder"


REASON_TEXT = {
    Reason.OK: "kept",
    Reason.EMPTY: "the file is empty",
    Reason.NOT_AN_IMAGE: "not a picture",
    Reason.UNSUPPORTED_TYPE: "a kind of picture that is not supported",
    Reason.TRUNCATED: "damaged or cut off",
    Reason.TOO_LARGE: "too many bytes, pixels or frames",
    Reason.TOO_SMALL: "too small to tell anything",
    Reason.DUPLICATE: "the same picture again",
    Reason.CONFLICT: "the same picture stands in two classes",
    Reason.LEAK: "the same picture is among the held-out ones",
    Reason.REMOVED: "taken out as a suspect or by a person",
    Reason.MOVED: "moved to another class",
    Reason.HTTP_ERROR: "the web site answered with an error",
    Reason.NOT_FOUND: "no longer there",
    Reason.FORBIDDEN: "the web site refused",
    Reason.RATE_LIMITED: "the web site asked to slow down",
    Reason.TIMEOUT: "took too long",
    Reason.UNREACHABLE: "the web site could not be reached",
    Reason.REFUSED_ADDRESS: "the address is not a public one",
    Reason.BAD_URL: "not a usable address",
    Reason.UNREADABLE: "the file could not be read",
    Reason.TOO_MANY_REDIRECTS: "sent from address to address",
    Reason.TOO_SLOW: "came too slowly",
    Reason.BAD_TLS: "the web site has no safe connection",
    Reason.CIRCUIT_OPEN: "left out because the web site kept failing",
    Reason.ROBOTS: "the web site's robots.txt forbids it",
    Reason.NOAI: "not to be used for machine learning, the web site says",
    Reason.LICENSE: "its licence is not one that was asked for",
    Reason.PLACEHOLDER: "a stand-in the web site shows for many pictures",
}


def in_words(reasons: Counter[Reason]) -> str:
    """How many pictures ended with each reason, the most first: "40 too small to tell anything, 2 not a picture"."""
    return ", ".join(f"{count} {REASON_TEXT[reason]}" for reason, count in reasons.most_common())


class Rejected(DataError):
    """A picture that is not taken into a data set, with its reason."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(what)
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """A picture that was decoded whole.

    Attributes:
        sha256: hexadecimal digest of the bytes as they came.
        phash: 64-bit perceptual hash (DCT of the 32 x 32 gray picture), 16 hexadecimal digits.
        mime, extension: by content, never by name.
        width, height: as shown, after EXIF rotation.
        bytes: size of the file.
    """

    sha256: str
    phash: str
    mime: str
    extension: str
    width: int
    height: int
    bytes: int


def inspect(data: bytes, limits: Limits = DEFAULT_LIMITS, min_side: int = MIN_SIDE) -> Picture:
    """Decode a picture whole and describe it.

    Raises:
        Rejected: it cannot be used; `reason` says why.
    """
    try:
        info, gray = look_over(data, _HASH_DETAIL, limits)
    except ImageError as error:
        raise Rejected(Reason(error.fault.value), error.what) from error
    if min(info.width, info.height) < min_side:
        what = f"the picture is {info.width} x {info.height}, the least is {min_side} a side"
        raise Rejected(Reason.TOO_SMALL, what)
    phash = np.packbits(imagehash.phash(gray).hash).tobytes().hex()
    return Picture(sha256(data), phash, info.mime, info.extension, info.width, info.height, len(data))
