"""The form that a classifier is made with: what was typed, and what is wrong with it."""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from werkzeug.datastructures import MultiDict

from tellapart.dataset import Dataset
from tellapart.errors import TellapartError, UsageError
from tellapart.licenses import LicenseFilter
from tellapart.listing import Wanted, count
from tellapart.names import ClassName, check_name, has_readable_slug, parse_class_names
from tellapart.settings import Settings
from tellapart.source_list import SOURCES, lacking
from tellapart.wording import counted
from webui.job_command import SAMPLES_PER_CLASS
from webui.jobs import Job
from webui.mail import check_address

DEFAULT_PER_CLASS = 200
MOST_PER_CLASS = 5_000
MOST_PICTURES = 100_000
_TEXT = 20_000
_NAME_LENGTH = 50
_FOLDER = "folder:"


class FormProblem(UsageError):
    """What is wrong with one field of the form; `field` is its name, "" where it is none of them.

    `form` is the form to go on with, None where that is the one that was sent.
    """

    def __init__(self, field: str, error: UsageError, form: "CreateForm | None" = None) -> None:
        super().__init__(error.what, error.fix)
        self.field, self.form = field, form


@dataclass(frozen=True)
class CreateForm:
    """What was typed, as it was typed; `read` gives one, `check` tells whether it is good.

    `joins` is the name of the data set that its author was told of, and adds to.
    """

    classes: str = ""
    name: str = ""
    sources: tuple[str, ...] = ("openverse",)
    folder: str = ""
    license: str = LicenseFilter.ANY
    per_class: str = str(DEFAULT_PER_CLASS)
    email: str = ""
    joins: str = ""

    @staticmethod
    def read(form: "MultiDict[str, str]") -> "CreateForm":
        """What a request's form says."""
        texts = {key: form.get(key, "")[:_TEXT] for key in ("name", "folder", "license", "per_class", "email", "joins")}
        # with JavaScript every class is a field of its own; without, they stand in one
        classes = ", ".join(text for text in form.getlist("classes") if text.strip())[:_TEXT]
        return CreateForm(classes=classes, sources=tuple(form.getlist("sources"))[: len(SOURCES) + 1], **texts)

    @staticmethod
    def of_job(job: Job) -> "CreateForm":
        """What was typed for a sample or a create, to go back to the form with."""
        options = job.options
        if typed := options.get("form"):
            return CreateForm(**typed | {"sources": tuple(typed["sources"])})
        words = [source for source in options["sources"] if not source.startswith(_FOLDER)]
        folders = [source.removeprefix(_FOLDER) for source in options["sources"] if source not in words]
        return CreateForm(
            classes=", ".join(options["classes"]),
            name=job.name,
            sources=tuple(words),
            folder="".join(folders),
            license=options.get("license", LicenseFilter.ANY),
            per_class=str(options["per_class"]),
            email=job.email,
            joins=job.name,
        )

    @property
    def class_list(self) -> list[str]:
        """The classes one by one, for the chips."""
        return [part.strip() for part in self.classes.replace("\n", ",").split(",") if part.strip()]


@dataclass(frozen=True)
class CreatePlan:
    """A form that was found good."""

    form: CreateForm
    name: str
    classes: tuple[ClassName, ...]
    sources: tuple[str, ...]
    license: LicenseFilter
    per_class: int
    email: str = field(default="", repr=False)

    def options(self) -> dict[str, Any]:
        """A create job's options."""
        return {
            "classes": [c.name for c in self.classes],
            "sources": list(self.sources),
            "license": self.license.value,
            "per_class": self.per_class,
        }

    def sample_options(self) -> dict[str, Any]:
        """The options of a sample job of the same, with the form to go on from."""
        return self.options() | {"per_class": SAMPLES_PER_CLASS, "form": asdict(self.form)}


def check(
    form: CreateForm, settings: Settings, with_folder: bool, in_use: Callable[[], Collection[str]] = frozenset
) -> CreatePlan:
    """The plan a form stands for.

    Args:
        with_folder: whether a folder on this computer may be named.
        in_use: names that no one is offered, though there is no data set of them yet.

    Raises:
        FormProblem: a field is wrong, the name belongs to a classifier of other classes, or to a data set of these
            classes that would be added to without a word.
    """
    classes = _checked("classes", lambda: parse_class_names(form.class_list))
    per_class = _checked("per_class", lambda: _number(form.per_class, len(classes)))
    plan = CreatePlan(
        form=form,
        name=_checked("name", lambda: _name(form.name.strip(), classes, settings)),
        classes=classes,
        sources=_checked("sources", lambda: _sources(form, settings, with_folder)),
        license=_checked("license", lambda: _license(form.license)),
        per_class=per_class,
        email=_checked("email", lambda: check_address(form.email)),
    )
    _refuse_unknowing(plan, settings, in_use)
    return replace(plan, form=replace(form, name=plan.name))


def _refuse_unknowing(plan: CreatePlan, settings: Settings, in_use: Callable[[], Collection[str]]) -> None:
    """Let nobody add to a data set who was not told that it is there."""
    there = 0 if plan.form.joins == plan.name else _kept(plan.name, settings)
    if there:
        others, taken = (f"{plan.name[:_NAME_LENGTH]}-{number}" for number in range(2, 100)), in_use()
        free = next((name for name in others if name not in taken and not (settings.datasets / name).exists()), "")
        pictures = f"{'is' if there == 1 else 'are'} {counted(there, 'picture')}"
        error = UsageError(
            f"there {pictures} of these classes in {plan.name!r} already",
            f"Go on to add to them and train it again, or choose another name{', such as ' if free else ''}{free}",
        )
        raise FormProblem("name", error, replace(plan.form, name=plan.name, joins=plan.name))


def _checked(field: str, read: Any) -> Any:
    try:
        return read()
    except UsageError as error:
        raise FormProblem(field, error) from error


def _number(text: str, classes: int) -> int:
    most, digits = min(MOST_PER_CLASS, MOST_PICTURES // classes), text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 10 and 2 <= int(digits) <= most):
        raise UsageError(f"{text[:20]!r} pictures per class cannot be collected", f"Write a number from 2 to {most}")
    return int(digits)


def _sources(form: CreateForm, settings: Settings, with_folder: bool) -> tuple[str, ...]:
    known = {source.word: source for source in SOURCES}
    for word in form.sources:
        if word not in known:
            raise UsageError(f"there is no source {word[:40]!r}", "Choose from the list")
        if why := lacking(known[word], settings):
            raise UsageError(f"{known[word].title} cannot be asked: it {why}", "Choose another source")
    folder = _folder(form.folder.strip(), with_folder)
    if not (form.sources or folder):
        raise UsageError("no source is chosen", "Choose at least one")
    return (*dict.fromkeys(form.sources), *folder)


def _folder(text: str, allowed: bool) -> tuple[str, ...]:
    if not text:
        return ()
    if not allowed:
        raise UsageError("folders cannot be named here", "Start it on the computer itself, or use the command line")
    path = Path(text).expanduser()
    try:
        there = path.is_absolute() and path.is_dir()
    except (OSError, ValueError):
        there = False
    if not there:
        raise UsageError(
            f"there is no folder {text[:200]!r}", "Write its whole path, with a folder for each class in it"
        )
    return (f"{_FOLDER}{path}",)


def _license(text: str) -> LicenseFilter:
    if text not in [f.value for f in LicenseFilter]:
        raise UsageError(f"{text[:40]!r} is no choice of licences", "Choose from the list")
    return LicenseFilter(text)


def _name(text: str, classes: tuple[ClassName, ...], settings: Settings) -> str:
    if not text:
        return _free_name(classes, settings)
    name = check_name(text)
    if _taken(name, classes, settings):
        raise UsageError(f"there is a classifier {name!r} with other classes already", "Choose another name")
    return name


def _free_name(classes: tuple[ClassName, ...], settings: Settings) -> str:
    """A name made of the classes that no other classifier has.

    Raises:
        UsageError: the classes are written in letters that it cannot have.
    """
    if not all(has_readable_slug(c.name) for c in classes):
        raise UsageError("no name can be made of these classes", "Write one under Name of the classifier")
    base = "-".join(c.slug for c in classes)[:_NAME_LENGTH].strip("-")
    names = [base, *(f"{base}-{number}" for number in range(2, 100))]
    return next((name for name in names if not _taken(name, classes, settings)), base)


def _taken(name: str, classes: tuple[ClassName, ...], settings: Settings) -> bool:
    """Whether the data set of that name has pictures of other classes."""
    try:
        there = Dataset.open(settings.datasets / name)
    except TellapartError:
        return (settings.datasets / name).exists()
    wanted = {c.slug for c in classes}
    return any(c.slug not in wanted and there.manifest.kept(c.slug) for c in there.classes)


def _kept(name: str, settings: Settings) -> int:
    """How many pictures the data set of that name has, 0 where there is none."""
    try:
        return count(Dataset.open(settings.datasets / name).manifest, Wanted())
    except TellapartError:
        return 0
