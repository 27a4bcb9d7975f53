"""What README and docs tell people to type exists, and every command is in the README."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from cli.commands import cli
from tellapart.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_SPAN = re.compile(r"`([^`\n]+)`")


def code(page: Path) -> Iterator[str]:
    """Every line of a code block, fenced or indented, and every code span."""
    fenced = False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()
        else:
            yield from _SPAN.findall(line)


def typed(page: Path, program: str) -> list[str]:
    """What follows the program's name where a page shows it being run."""
    found = (re.match(rf"(?:\$ )?(?:[A-Z_]+=\S+ )*{program} ([a-z-].*)", text) for text in code(page))
    return [match[1].split(" # ")[0].strip() for match in found if match]


def parse(line: str) -> str:
    """The command that a line runs, after its options were found to exist; raises click.UsageError where not."""
    words = [word for word in shlex.split(re.sub(r"[\[\]]|\.\.\.", " ", line)) if word]
    command: click.Command = cli
    path: list[str] = []
    while isinstance(command, click.Group) and words:
        if words[0].startswith("-"):
            click.Context(command).command.make_parser(click.Context(command)).parse_args(words[:1])
            words.pop(0)
            continue
        if words[0] not in command.commands:
            raise click.UsageError(f"there is no command {words[0]!r}")
        command = command.commands[words[0]]
        path.append(words.pop(0))
    context = click.Context(command)
    command.make_parser(context).parse_args(words)
    return " ".join(path)


def commands(group: click.Group, before: str = "") -> Iterator[str]:
    """Every command that does something, with the words that lead to it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name


SHOWN = [(page.name, line) for page in PAGES for line in typed(page, "tellapart")]
MAKE = [(page.name, line) for page in PAGES for line in typed(page, "make")]
MODULES = [(page.name, line) for page in PAGES for line in typed(page, "python")]


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_a_command_that_a_page_shows_exists_with_its_options(page: str, line: str) -> None:
    assert parse(line)


@pytest.mark.parametrize("line", ["nosuch", "train DATASET --nosuch", "models nosuch TAG", "export TAG --format"])
def test_what_does_not_exist_is_found_out(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)


def test_every_command_is_in_the_readme() -> None:
    shown = {parse(line) for line in typed(ROOT / "README.md", "tellapart")}
    assert len(shown) > 10
    assert [name for name in commands(cli) if name not in shown] == []


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {line.split()[0] for _, line in MAKE}
    assert {"run", "test"} <= named <= targets


def test_every_module_that_is_run_exists() -> None:
    named = [line.split()[1] for _, line in MODULES if line.startswith("-m ")]
    assert named
    missing = [name for name in named if not (ROOT / f"{name.replace('.', '/')}.py").exists()]
    assert [name for name in missing if name.startswith(("benchmarks", "tellapart", "training"))] == []


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*PAGES, ROOT / "ARCHITECTURE.md"]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())]
    broken = [f"{p.name}: {link}" for p, link in links if ":" not in link and not (p.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize(
    ("room", "under"),
    [
        ("tellapart", ["What they share (`tellapart/`)"]),
        ("scraping", ["Collecting"]),
        ("curation", ["Curating"]),
        ("training", ["Training", "What happens to a picture"]),
        ("webui", ["The web page"]),
        ("cli", ["The rooms"]),
    ],
)
def test_every_module_is_on_the_page_that_says_where_everything_is(room: str, under: list[str]) -> None:
    parts = (ROOT / "ARCHITECTURE.md").read_text().split("\n## ")
    spans = " ".join(_SPAN.findall("".join(part for part in parts if part.partition("\n")[0] in under)))
    modules = {path.stem for path in (ROOT / room).rglob("*.py") if not path.stem.startswith("__")}
    assert sorted(modules - set(re.findall(r"\w+", spans))) == []


def test_every_setting_is_on_a_page() -> None:
    asked: set[str] = set()

    class Environment(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return default

    load_settings(Environment())
    assert len(asked) > 20
    assert sorted(asked - set(re.findall(r"TELLAPART_\w+", " ".join(page.read_text() for page in PAGES)))) == []
