"""Class names and the names of data sets and classifiers."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tellapart.errors import UsageError

MIN_CLASSES = 2
MAX_CLASSES = 1000
MAX_NAME_LENGTH = 80

_LISTED = 5  # of those that are wrong
_FIX = f"Use 1 to {MAX_NAME_LENGTH} letters, digits, spaces and simple punctuation"
_TAKEN = {"none", "con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_FORBIDDEN = set('/\\<>|"*?:`')
_SAFE_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class ClassName:
    """A class as its author typed it, and the slug that stands for it in paths and URLs."""

    name: str
    slug: str


def parse_class_names(names: Iterable[str]) -> tuple[ClassName, ...]:
    """Turn what was typed into class names with unique, path-safe slugs, in the order given.

    A comma separates names inside one string, so `["cat,dog", "bird"]` is three classes.

    Raises:
        UsageError: fewer than 2 or more than 1000 names, names with path or markup
            characters, over-long ones, or names with the same slug; it says all of them.
    """
    parts = [part for name in names for part in name.split(",") if part.strip()]
    if wrong := [said for part in dict.fromkeys(parts) if (said := _wrong_with(_folded(part)))]:
        raise UsageError(f"class name {_listed(wrong)}", _FIX)
    classes = tuple(parse_class_name(part) for part in parts)
    refuse_same_slug(classes)
    if not MIN_CLASSES <= len(classes) <= MAX_CLASSES:
        given = "1 class name" if len(classes) == 1 else f"{len(classes)} class names"
        raise UsageError(
            f"{given} given, expected {MIN_CLASSES} to {MAX_CLASSES}",
            "Name at least two classes to tell apart, for example: cat,dog",
        )
    return classes


def parse_class_name(text: str) -> ClassName:
    """One class name, white space folded and in Unicode form NFC, with its slug.

    Raises:
        UsageError: it cannot be used.
    """
    name = _folded(text)
    if wrong := _wrong_with(name):
        raise UsageError(f"class name {wrong}", _FIX)
    return ClassName(name, slugify(name))


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _wrong_with(name: str) -> str:
    """A class name and why it cannot be used, "" where it can."""
    why = []
    if bad := sorted({c for c in name if c in _FORBIDDEN or unicodedata.category(c)[0] == "C"}):
        why.append(f"contains {' '.join(map(_shown, bad))}")
    if name.startswith("."):
        why.append("starts with a dot")
    if not name:
        why.append("is empty")
    if len(name) > MAX_NAME_LENGTH:
        why.append(f"is longer than {MAX_NAME_LENGTH} characters")
    return f"{_quoted(name)} {' and '.join(why)}" if why else ""


def _quoted(name: str) -> str:
    cut = "…" if len(name) > MAX_NAME_LENGTH else ""
    return f'"{"".join(map(_shown, name[:MAX_NAME_LENGTH]))}{cut}"'


def _shown(character: str) -> str:
    """A character, or its number where it would do something to a terminal or not be seen."""
    return character if character.isprintable() else f"U+{ord(character):04X}"


def _listed(texts: Sequence[str]) -> str:
    more = [f"and {len(texts) - _LISTED} more"] if len(texts) > _LISTED else []
    return "; ".join([*texts[:_LISTED], *more])


def slugify(name: str) -> str:
    """A lower-case ASCII slug of letters, digits and hyphens.

    Names with no ASCII letters or digits get a slug from their digest, so that every
    script works: the slug is for paths, the name is what people see. So do those whose slug
    means something else as a folder: to us ("none"), or to Windows ("con"). Folders and pages
    may have names that are no whole text (lone surrogates); those have one too.
    """
    slug = _latin(name)
    if has_readable_slug(name) and slug not in _TAKEN:
        return slug
    digest = hashlib.sha256(name.casefold().encode(errors="surrogatepass")).hexdigest()[:10]
    return f"{slug}-{digest}" if slug else f"class-{digest}"


def has_readable_slug(name: str) -> bool:
    """Whether a name's slug says all of it; else there is a digest in it, which tells people nothing."""
    lost = any(c.isalnum() and not c.isascii() for c in unicodedata.normalize("NFKD", name))
    return bool(_latin(name)) and not lost


def _latin(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")


def refuse_same_slug(classes: Iterable[ClassName]) -> None:
    """Refuse classes that would share a folder.

    Raises:
        UsageError: some of them have the same slug; it says all of them.
    """
    names: dict[str, list[str]] = {}
    for c in classes:
        names.setdefault(c.slug, []).append(c.name)
    alike = [(slug, mine) for slug, mine in names.items() if len(mine) > 1]
    if alike:
        said = _listed([f"{' and '.join(map(_quoted, mine[:_LISTED]))} ({slug})" for slug, mine in alike])
        raise UsageError(f"class names are the same once written as a folder name: {said}", "Rename or remove them")


def check_name(name: str, what: str = "classifier") -> str:
    """Check the name of a data set or classifier; it is used as a folder and in a BentoML tag.

    Raises:
        UsageError: anything but lower-case letters, digits, hyphens and underscores.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise UsageError(
            f"{what} name {name[:MAX_NAME_LENGTH]!r} cannot be used",
            "Use 1 to 63 lower-case letters, digits, hyphens or underscores, with a letter or digit at both ends",
        )
    return name
