"""How fast the review page of a large data set is.

    python -m benchmarks.review [--pictures 10000] [--rounds 40]

Makes a data set of that many manifest rows, a third of them suspects, in a home of its own, starts the service and
the web page, and asks for the page as a browser first does, then for the 200 pictures that the script asks for.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable

import httpx
import numpy as np

from benchmarks.machine import home_of_its_own, machine
from benchmarks.serve import make_classifiers
from benchmarks.web import running
from tellapart.dataset import Dataset
from tellapart.manifest import Attempt
from tellapart.names import parse_class_names
from tellapart.pictures import Reason, Status
from tellapart.settings import load_settings


def make_dataset(count: int) -> None:
    """A data set "pets" of two classes, of rows without files."""
    classes = parse_class_names(["cat", "dog"])
    dataset = Dataset.create(load_settings().datasets / "pets", "pets", classes, [])
    dataset.manifest.add(_row(number, classes[number % 2].slug) for number in range(count))


def _row(number: int, slug: str) -> Attempt:
    flag = {"kind": "off_topic", "score": number / 1e6, "reason": "unlike the other pictures", "action": "look"}
    flags = "" if number % 3 else json.dumps(flag | {"to": "", "confident": False})
    known = {"rank": number, "sha256": f"{number:064x}", "extension": "jpg", "flags": flags}
    return Attempt(f"https://example.org/{number}.jpg", slug, Status.KEPT, Reason.OK, **known)  # type: ignore[arg-type]


def measure(title: str, rounds: int, ask: Callable[[], bytes]) -> int:
    """Print milliseconds and size of answers; gives the size."""
    size, seconds = len(ask()), []
    for _ in range(rounds):
        begun = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - begun)
    print(f"{title:34s} {np.median(seconds) * 1000:8.1f} {np.percentile(seconds, 95) * 1000:8.1f} {size / 1000:8.1f}")
    return size


def main() -> None:
    """Parse the command line and run in a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with home_of_its_own():
        make_classifiers("efficientnet_lite0", 1)
        make_dataset(options.pictures)
        with running() as stack, httpx.Client() as client:
            page = f"{stack.web}/datasets/pets"
            print(f"{machine()}; {options.pictures} pictures")
            print(f"{'':34s} {'p50 ms':>8s} {'p95 ms':>8s} {'kB':>8s}")
            measure("the page, with its first pictures", options.rounds, lambda: _get(client, page))
            measure(
                "200 more pictures", options.rounds, lambda: _get(client, f"{page}/pictures.json?offset=5000&limit=200")
            )
            scripts = re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get(page).text)
            sizes = [len(httpx.get(stack.web + path).content) for path in scripts]
            print(f"styles, script and icons, kept by the browser after the first time: {sum(sizes) / 1000:.1f} kB")


def _get(client: httpx.Client, address: str) -> bytes:
    answer = client.get(address)
    if answer.status_code != 200:
        sys.exit(f"{address} answered {answer.status_code}")
    return answer.content


if __name__ == "__main__":
    main()
