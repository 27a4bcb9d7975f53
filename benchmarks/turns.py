"""What came of servers that were asked in turns with the in-process ceiling: a table, and the aims at it."""

from statistics import median

from benchmarks.aims import Aim
from benchmarks.loading import Load
from tellapart.hardware import cpus

Turn = tuple[Load, float]  # what clients saw, and the ceiling just before
Turns = dict[tuple[str, int], list[Turn]]  # by server and clients


def judged(found: Turns, us: str) -> list[Aim]:
    """What is aimed at at 32 clients, and that nobody is refused below the queue's bound."""
    turns = {name: turns for (name, clients), turns in found.items() if clients == 32}
    aims = [Aim("not 200 below the queue's bound", float(_failures(found, us)), 0.0, True, 0)]
    if ours_32 := turns.get(us):
        aims += [
            Aim("of the in-process ceiling at 32 clients", _share(ours_32), 0.9, False, 2),
            Aim("p99 at 32 clients, in times of 32 pictures in process", _slowest(ours_32), 2.5, True, 2),
        ]
    if ours_32 and (theirs := turns.get("LitServe")):
        times = median(mine.rate / other.rate for (mine, _), (other, _) in zip(ours_32, theirs, strict=True))
        aims.append(Aim("times LitServe at 32 clients", times, 1.3, False, 2))
    return aims


def _failures(found: Turns, us: str) -> int:
    """Answers of ours that should have been 200 and were not."""
    return sum(
        len(one.refused) for (name, clients), turns in found.items() if name == us and clients < 128 for one, _ in turns
    )


def _share(turns: list[Turn]) -> float:
    """Rate by that of the ceiling."""
    return median(one.rate / top for one, top in turns)


def _slowest(turns: list[Turn]) -> float:
    """p99 in units of what 32 pictures take in process."""
    return median(one.percentile_ms(99) / (32_000 / top) for one, top in turns)


def print_table(found: Turns) -> None:
    """Medians over the rounds; "of 32" is p99 in units of what 32 pictures take in process."""
    head = (
        "server                 ",
        "clients",
        "pictures/s",
        "of ceiling",
        "clients out",
        "p50 ms",
        "p95 ms",
        "p99 ms",
    )
    print("  ".join((*head, "of 32", "answers", "non-200")))
    for (name, clients), turns in found.items():
        rate = median(one.rate for one, _ in turns)
        without = median(one.rate / top / (1 - one.processor / one.seconds / cpus()) for one, top in turns)
        p50, p95, p99 = (median(one.percentile_ms(p) for one, _ in turns) for p in (50, 95, 99))
        answers, failed = sum(len(one.latencies) for one, _ in turns), sum(len(one.refused) for one, _ in turns)
        print(
            f"{name:23}  {clients:7d}  {rate:10.1f}  {_share(turns):10.2f}  {without:11.2f}  "
            f"{p50:6.0f}  {p95:6.0f}  {p99:6.0f}  {_slowest(turns):5.1f}  {answers:7d}  {failed:7d}"
        )
    print(f"in process: {median(top for turns in found.values() for _, top in turns):.1f} pictures/s")


def client_ms(found: Turns) -> float:
    """Milliseconds of a core a request that the clients took."""
    return median(1000 * one.processor / max(1, one.answers) for turns in found.values() for one, _ in turns)
