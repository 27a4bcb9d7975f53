"""Which pictures may be collected, by the licence their source names."""

import re
from enum import StrEnum


class LicenseFilter(StrEnum):
    """What is asked of a picture's licence."""

    ANY = "any"
    KNOWN = "known"
    COMMERCIAL = "commercial"
    PUBLIC_DOMAIN = "public-domain"


FILTER_WORDS = {
    LicenseFilter.ANY: "any licence, unknown ones too",
    LicenseFilter.KNOWN: "the source names a licence",
    LicenseFilter.COMMERCIAL: "commercial use is allowed",
    LicenseFilter.PUBLIC_DOMAIN: "public domain only",
}
_PUBLIC_DOMAIN = re.compile(r"(cc0|pdm|public domain|pd)\b.*", re.IGNORECASE)
_FREE = re.compile(r"(cc[ -]by(-sa|-nd)?(?!-)|[al]?gpl|gfdl|fal|mit|bsd|apache)\b.*", re.IGNORECASE)


def admits(wanted: LicenseFilter, license: str) -> bool:  # noqa: A002
    """Whether a licence, "" where the source names none, is what is wanted."""
    if wanted is LicenseFilter.ANY:
        return True
    text = license.strip()
    if wanted is LicenseFilter.KNOWN:
        return bool(text)
    free = wanted is LicenseFilter.COMMERCIAL and _FREE.fullmatch(text) is not None
    return free or _PUBLIC_DOMAIN.fullmatch(text) is not None
