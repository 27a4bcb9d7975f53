"""How fast the review page of a large data set is; a part of `benchmarks.web`.

A data set of manifest rows, a third of them suspects. The page is asked for as a browser first does, then the 200
pictures that the script asks for.
"""

import json
import re
import sys
import time
from collections.abc import Callable

import httpx
import numpy as np

from benchmarks.stack import Stack
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


def measure(title: str, rounds: int, ask: Callable[[], bytes], aim: str = "") -> None:
    """Print milliseconds and size of answers."""
    size, seconds = len(ask()), []
    for _ in range(rounds):
        begun = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - begun)
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    print(f"{title:34s} {p50:8.1f} {p95:8.1f} {size / 1000:8.1f}{aim}")


def measure_review(stack: Stack, count: int, rounds: int = 40) -> None:
    """Measure and print; ends the program where an answer is an error."""
    with httpx.Client() as client:
        page = f"{stack.web}/datasets/pets"
        print(f"{f'the review page of {count} pictures':34s} {'p50 ms':>8s} {'p95 ms':>8s} {'kB':>8s}")
        measure("with its first pictures", rounds, lambda: _get(client, page), "   aim: 300 ms and 200 kB")
        more = f"{page}/pictures.json?offset={count // 2}&limit=200"
        measure("200 more pictures", rounds, lambda: _get(client, more))
        scripts = re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get(page).text)
        sizes = [client.get(stack.web + path).num_bytes_downloaded for path in scripts]  # as they come, packed
        print(f"{'styles, scripts, icons, asked once':52s} {sum(sizes) / 1000:8.1f}", flush=True)


def _get(client: httpx.Client, address: str) -> bytes:
    answer = client.get(address)
    if answer.status_code != 200:
        sys.exit(f"{address} answered {answer.status_code}")
    return answer.content
