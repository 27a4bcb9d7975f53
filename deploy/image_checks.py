"""What a running image of the service must do; `image-test.sh` starts it.

    python deploy/image_checks.py PROCESS PICTURE CLASS

PROCESS is the container's first process as this machine sees it, PICTURE one that must be CLASS.
Prints a line for each thing that holds, and ends with the first that does not.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

URL = "http://127.0.0.1:3000"
READY_SECONDS = 180
RUNNER_SECONDS = 10
FRONT_SECONDS = 30


def main(process: psutil.Process, picture: bytes, expected: str) -> None:
    """All checks, in order."""
    with httpx.Client(base_url=URL, trust_env=False, timeout=30) as client:
        seconds = until(lambda: client.get("/readyz").status_code == 200, READY_SECONDS, "ready")
        say(f"ready after {seconds:.1f} s")
        check_answers(client, picture, expected)
        check_rights(process)
        check_revival(client, process, picture, slow=seconds)


def check_answers(client: httpx.Client, picture: bytes, expected: str) -> None:
    """A picture gets its class, what is none the table's error, and the packed model is listed."""
    answer = client.post("/classify", files={"image": picture}).json()
    assert answer["top"] == expected, answer
    assert answer["model"].startswith("colours:"), answer
    assert abs(sum(p["confidence"] for p in answer["predictions"]) - 1) < 1e-3, answer
    refusal = client.post("/classify", files={"image": b"no picture"})
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (400, "not_an_image"), refusal.text
    assert [m["model"] for m in client.get("/models").json()["models"]] == [answer["model"]]
    say(f"a {expected} picture is {answer['top']} ({answer['confidence']:.2f}), what is no picture is refused")


def check_rights(process: psutil.Process) -> None:
    """No process is root, gains rights or has capabilities, and the root file system is read-only."""
    for one in family(process):
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{one.pid}/status").read_text().splitlines())
        assert 0 not in {int(uid) for uid in status["Uid"].split()}, f"{one.cmdline()} is root"
        assert (int(status["CapEff"], 16), status["NoNewPrivs"]) == (0, "1"), f"{one.cmdline()} may do too much"
    mounts = [line.split() for line in Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines()]
    assert [mount[5].split(",")[0] for mount in mounts if mount[4] == "/"] == ["ro"], "the root file system is writable"
    say(f"{len(family(process))} processes, none of them root; the root file system is read-only")


def check_revival(client: httpx.Client, process: psutil.Process, picture: bytes, slow: float) -> None:
    """A process that is killed comes back: what computes within 10 s, what answers when BentoML looks again.

    On a machine so busy that the first start took longer (`slow` seconds), as long as that.
    """
    keeper = next(one for one in family(process) if "tellapart.runner" in one.cmdline())
    (runner,) = keeper.children()
    for name, one, seconds in (("Runner", runner, RUNNER_SECONDS), ("front", keeper.parent(), FRONT_SECONDS)):
        one.kill()
        one.wait(5)
        back = until(lambda: answers(client, picture), max(seconds, slow), f"back after kill -9 of the {name}")
        say(f"back {back:.1f} s after kill -9 of the {name}")


def answers(client: httpx.Client, picture: bytes) -> bool:
    """Whether a picture is classified."""
    return client.post("/classify", files={"image": picture}, timeout=2).status_code == 200


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    return [process, *process.children(recursive=True)]


def until(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something holds, and say how many seconds that took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        try:
            if holds():
                return time.monotonic() - started
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not {what} within {seconds:.0f} s")


def say(text: str) -> None:
    """One line that holds."""
    print(f"image-test: {text}", flush=True)


if __name__ == "__main__":
    try:
        main(psutil.Process(int(sys.argv[1])), Path(sys.argv[2]).read_bytes(), sys.argv[3])
    except (AssertionError, psutil.Error) as error:
        sys.exit(f"error: {error}")
