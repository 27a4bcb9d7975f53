"""A gallery or list of the user's choice, described by a recipe."""

from pathlib import Path
from urllib.parse import quote

from scraping.browser import Tile, open_browser
from scraping.page_rules import PageRules
from scraping.source import Candidate, whole_text
from scraping.sources.recipe import Recipe, read_recipe
from scraping.sources.shown import Browsing, PageSource, Rules, Site, web_address
from tellapart.names import ClassName, slugify
from tellapart.settings import Settings


def site(path: Path, settings: Settings, browsing: Browsing = open_browser, rules: Rules = PageRules) -> PageSource:
    """The site that the recipe at `path` describes.

    Raises:
        DataError: the recipe cannot be used.
    """
    recipe, name = read_recipe(path), whole_text(f"site:{path}")
    slugs = {label.casefold(): slugify(name) for label, name in recipe.labels.items()}

    def address(query: str) -> str:
        return recipe.url.replace("{query}", quote(query, safe=""))

    def read(tile: Tile, query: str) -> Candidate | None:
        return _candidate(tile, query, name, recipe)

    def wanted(tile: Tile, class_name: ClassName) -> bool:
        label = tile.get("label", "")
        return recipe.label is None or slugs.get(label.casefold(), slugify(label)) == class_name.slug

    described = Site(name, recipe.to_page(), address, read, wanted, recipe.local)
    return PageSource(described, settings, browsing, rules)


def _candidate(tile: Tile, query: str, source: str, recipe: Recipe) -> Candidate | None:
    url = web_address(tile, "picture")
    if not url or (recipe.label and not tile["label"]):
        return None
    return Candidate(
        url,
        source,
        query,
        0,
        page_url=web_address(tile, "page"),
        title=tile.get("title", ""),
        license=tile.get("license", ""),
        license_url=web_address(tile, "license_url"),
        author=tile.get("author", ""),
    )
