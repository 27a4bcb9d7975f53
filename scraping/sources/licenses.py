"""Creative Commons licences: from the codes that sites use to the name and address people know."""

from dataclasses import dataclass

_PUBLIC_DOMAIN = {
    "cc0": ("CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    "pdm": ("PDM 1.0", "https://creativecommons.org/publicdomain/mark/1.0/"),
}


@dataclass(frozen=True)
class License:
    """A licence's name and the address of its text; both "" where it is not known."""

    name: str = ""
    url: str = ""


UNKNOWN = License()


def creative_commons(code: str, version: str = "4.0") -> License:
    """The licence that a code such as by-sa, cc-by-sa, cc0 or pdm stands for; UNKNOWN for no code."""
    short = code.lower().removeprefix("cc-")
    if short in _PUBLIC_DOMAIN:
        return License(*_PUBLIC_DOMAIN[short])
    if not short:
        return UNKNOWN
    return License(f"CC {short.upper()} {version}".strip(), f"https://creativecommons.org/licenses/{short}/{version}/")
