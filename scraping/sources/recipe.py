"""Recipes: a small TOML or JSON file that says how a site's pages show pictures.

url = "https://example.org/search?q={query}"     # without {query}, a list whose labels come from the page
items = ".card"                                  # what holds one picture
picture = {selector = "img", attribute = "data-full|src"}
label = {selector = ".species"}                  # "" or left out: every item is for the class asked for
labels = {"Felis catus" = "cat"}                 # the page's labels as class names, where they differ
title, page, author, license, license_url        # like picture; an attribute left out is the text
press, more, next, end, nothing, consent, blocked    # selectors, see scraping/selectors.py
local = true                                     # the site stands on this machine
"""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from scraping.selectors import ANY_BLOCK, ANY_CONSENT, Page
from tellapart.errors import DataError

_SELECTORS = ("press", "more", "next", "end", "nothing")
_FIELDS = ("picture", "label", "title", "page", "author", "license", "license_url")
Selector = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Where(BaseModel):
    """Where in an item something stands: an element's attribute, or its text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    selector: str = ""
    attribute: str = ""


class Recipe(BaseModel):
    """A site, as its recipe describes it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^/?#\s]")]
    items: Selector
    picture: Where
    label: Where | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    title: Where | None = None
    page: Where | None = None
    author: Where | None = None
    license: Where | None = None
    license_url: Where | None = None
    press: str = ""
    more: str = ""
    next: str = ""
    end: str = ""
    nothing: str = ""
    consent: str = ""
    blocked: str = ""
    local: bool = False

    def to_page(self) -> Page:
        """The page that the browser reads; well-known consent and block pages are known without being named."""
        wheres: dict[str, Where | None] = {name: getattr(self, name) for name in _FIELDS}
        return Page(
            tiles=self.items,
            fields={name: (where.selector, where.attribute) for name, where in wheres.items() if where},
            consent=", ".join(filter(None, (self.consent, ANY_CONSENT))),
            blocked=", ".join(filter(None, (self.blocked, ANY_BLOCK))),
            **{name: getattr(self, name) for name in _SELECTORS},
        )


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        DataError: it cannot be read, or says something that a recipe does not.
    """
    said = _read(path)
    if isinstance(said.get("picture"), dict):
        said["picture"].setdefault("attribute", "src")
    try:
        return Recipe.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {where}: {first['msg']}", "See docs/sources.md") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        return dict(json.loads(text) if path.suffix == ".json" else tomllib.loads(text))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "Give a recipe file, .toml or .json") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is no recipe: {error}", "Write it as TOML, or as JSON in a .json file") from error
