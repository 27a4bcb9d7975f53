"""What tests of the command line share: what was said, what an error looks like, folders of pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from cli.commands import cli

MakePicture = Callable[..., bytes]
Tell = Callable[..., "Told"]
_PROGRESS = "collect ", "read pictures:", "curate", "start:", "check:"
METRICS = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "protocol": "test", "n": 9}


@dataclass(frozen=True)
class Told:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines on stderr but progress, which is a line a stage where nobody watches."""
        return [line for line in self.err.splitlines() if not line.startswith(_PROGRESS)]


def refused(told: Told, code: int, *parts: str) -> None:
    """One line on stderr that has these parts, in order, and nothing on stdout."""
    assert (told.code, told.out) == (code, "")
    (line,) = told.errors
    assert line.startswith("error: ")
    where = 0
    for part in parts:
        assert part in line[where:], line
        where = line.index(part, where)


def fill(folder: Path, classes: dict[str, int], make_photo: MakePicture) -> Path:
    for number, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"{i}.png").write_bytes(make_photo(100 * number + i))
    return folder


def commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, after the words that lead to it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        else:
            yield (*before, name), command


COMMANDS = dict(commands(cli))
