"""A Runner that decodes by itself, over a real connection."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart import messages, preprocess, runner
from tellapart.classifier import Loader
from tellapart.engine import Engine
from tellapart.fronts import Fronts
from tellapart.images import Limits
from tellapart.messages import pack, read_answers, receive_blocking, send_blocking
from tellapart.runner import Runner
from tellapart.tuning import Tuning

Make = Callable[..., Any]


def ask(computing: Runner, head: dict[str, Any], *parts: bytes) -> tuple[dict[str, Any], bytearray]:
    """One question and its answer."""
    front, other = socket.socketpair()
    with front:
        front.settimeout(60)
        serving = threading.Thread(target=computing._converse, args=(other,))
        serving.start()
        send_blocking(front, pack(head, *parts))
        answer = receive_blocking(front)
    serving.join(60)
    return answer


@pytest.mark.parametrize("usable", [True, False])
def test_files_are_answered_as_their_pixels_and_what_is_not_ordinary_is_handed_back(
    tmp_path: Path, tiny_bundle: Make, make_photo: Make, seeing_head: Any, usable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five files, three of which are handed back: no picture, cut off, and too large."""
    monkeypatch.setattr(runner, "ORDINARY", Limits(max_pixels=300 * 200))
    tiny_bundle(tmp_path, ("cat", "dog", "bird"), seeing_head)
    classifier = Loader().load(tmp_path)
    how = classifier.info.preprocessing
    good = [make_photo(1, size=(200, 300)), make_photo(2, format="JPEG")] if usable else []
    cut = make_photo(3)[:-100]
    files = [b"no picture", *good, cut, make_photo(4, size=(301, 200))]
    head = {
        "do": "read",
        "folders": [str(tmp_path)] * len(files),
        "lengths": [len(data) for data in files],
        "preprocessing": how.to_json(),
    }
    answer, body = ask(Runner(Engine(Loader(), 2**30), Fronts(0), lambda _: None, Tuning(4, 2, 1)), head, *files)
    assert answer["sizes"] == [None, *([[200, 300], [96, 96]] if usable else []), None, None]
    assert 0 <= answer["decoding"] <= answer["seconds"]
    answers = read_answers(answer, bytes(body))
    assert len(answers) == len(good)
    for found, data in zip(answers, good, strict=True):
        assert not isinstance(found, Exception)
        expected, none = classifier.answers(how.from_bytes(data)[None])
        np.testing.assert_allclose(found[0], expected[0], atol=2e-3)
        assert found[1] == none[0]


def test_what_a_runner_decodes_is_a_part_of_what_is_taken() -> None:
    """So that whatever it hands back the front still judges by the limits that are documented."""
    for name, most in vars(messages.ORDINARY).items():
        assert most <= getattr(preprocess.DEFAULT_LIMITS, name)
