"""The rule for "none of these", by hand, in the bundle, and in the answers of a classifier."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tellapart.bundle import BundleInfo, open_bundle
from tellapart.classifier import Loader
from tellapart.errors import BundleError
from tellapart.head import Head
from tellapart.rejection import Rejection, log_odds
from tellapart.rejection_by_means import MeansRejection

TinyBundle = Callable[..., BundleInfo]


def floats(*rows: Any) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


AXES = floats([1, 0], [0, 1])
PLANE = Rejection(AXES, floats(0.5, 0.5), sure=0.0, alike=1.0, local=0.0, threshold=0.7)


def rejecting(threshold: float, local: float = 0.0) -> Head:
    """Two classes at 0.7311 and 0.2689 whatever the picture: log odds 1."""
    zeros = np.zeros((2, 512), np.float32)
    rejection = Rejection(zeros + floats(1, 2)[:, None], floats(1, 2), 1.0, 0.0, local, threshold)
    return Head(zeros, floats(0, -1), 1.0, rejection)


def rejecting_by_means(threshold: float) -> Head:
    head, zeros = rejecting(threshold), np.zeros((2, 512), np.float32)
    return replace(head, rejection=MeansRejection(zeros[0], zeros[0] + 1, zeros, zeros, 1.0, 0.25, 0.0, threshold))


def test_a_picture_unlike_all_that_was_learned_is_none_of_these_however_sure_the_head_is() -> None:
    features = floats([3, 0], [0, 2], [3, 4], [-1, 1], [-5, -1])  # cosines 1, 1, 0.8, 0.7071, -0.1961
    sure = floats(*[[0.999, 0.001]] * 5)
    assert PLANE.columns(features, sure)[:, 1] == pytest.approx([1, 1, 0.8, 0.70711, -0.19612], abs=1e-5)
    assert PLANE.none_of_these(features, sure).tolist() == [False, False, False, False, True]


def test_confidence_and_likeness_add_up() -> None:
    both = replace(PLANE, sure=0.5, alike=2.0, threshold=2.4999)
    assert log_odds(floats([0.731059, 0.268941])) == pytest.approx(1, abs=1e-5)
    found = both.none_of_these(floats([7, 0], [7, 0]), floats([0.731059, 0.268941], [0.7, 0.3]))
    assert found.tolist() == [False, True]  # 0.5 * 1 + 2 * 1 is just above the threshold; 0.5 * 0.847 + 2 is below


def test_distance_counts_by_how_far_apart_the_pictures_are_there() -> None:
    """Six exemplars, of which the five nearest count: all at the same cosine, in a dense and in a loose place."""
    rows = np.tile(floats([1, 0]), (6, 1))
    dense, loose = (
        Rejection(rows, np.full(6, spacing, np.float32), 0.0, 0.0, local=1.0, threshold=-1.0) for spacing in (0.1, 0.4)
    )
    features, any_answer = floats([3, 4], [1, 0]), floats([0.9, 0.1], [0.9, 0.1])  # 1 - cosine 0.4 and 0
    assert dense.columns(features, any_answer)[:, 2] == pytest.approx([-4, 0], abs=1e-5)
    assert loose.columns(features, any_answer)[:, 2] == pytest.approx([-1, 0], abs=1e-5)
    assert dense.none_of_these(features, any_answer).tolist() == [True, False]
    far = np.concatenate([rows[:5], floats([-1, 0])])
    unmoved = replace(dense, exemplars=far)
    assert unmoved.columns(features, any_answer)[:, 2] == pytest.approx([-4, 0], abs=1e-5)


def test_a_bundle_of_before_goes_on_answering_by_class_means() -> None:
    rule = MeansRejection(floats(1, 1), floats(2, 2), AXES, AXES, sure=0.0, near=1.0, alike=0.0, threshold=0.7)
    features = floats([7, 1], [1, 3], [4, 4], [-5, 1])  # cosines 1, 1, 0.7071, 0 around the centre (1, 1)
    sure = floats(*[[0.999, 0.001]] * 4)
    assert rule.none_of_these(features, sure).tolist() == [False, False, False, True]
    kind = replace(rule, near=0.0, alike=1.0, threshold=0.9)
    assert kind.none_of_these(floats([3, 0], [3, 4]), sure[:2]).tolist() == [False, True]  # cosines 1 and 0.8


def test_a_certain_head_and_a_picture_without_features_are_no_infinities() -> None:
    assert np.isfinite(log_odds(floats([1, 0]))).all()
    assert PLANE.columns(floats([0, 0]), floats([1, 0]))[0, 1:].tolist() == [0, -2, 0]


def test_a_head_without_the_rule_never_says_it() -> None:
    head = Head(np.zeros((2, 3), np.float32), np.zeros(2, np.float32))
    features = np.zeros((4, 3), np.float32)
    assert not head.none_of_these(features, head.probabilities(features)).any()


RULES = (rejecting(1.5, local=0.25), rejecting_by_means(1.5))


@pytest.mark.parametrize("head", RULES, ids=["exemplars", "means"])
def test_a_bundle_keeps_the_rule(tmp_path: Path, tiny_bundle: TinyBundle, head: Head) -> None:
    tiny_bundle(tmp_path / "b", head=head, file=b"weights")
    found = open_bundle(tmp_path / "b").head.rejection
    assert head.rejection is not None
    assert type(found) is type(head.rejection)
    for name, value in vars(head.rejection).items():
        np.testing.assert_array_equal(getattr(found, name), value)


def test_a_bundle_of_before_is_read_and_rejects_nothing(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    tiny_bundle(tmp_path / "b", file=b"weights")
    path = tmp_path / "b" / "model.json"
    values = json.loads(path.read_text())
    del values["rejection"]
    path.write_text(json.dumps(values))
    assert open_bundle(tmp_path / "b").head.rejection is None


@pytest.mark.parametrize(
    ("head", "name", "tensor", "said"),
    [
        (RULES[0], "exemplars", floats([1, 0, 0]), r"exemplars of head\.safetensors .*\(1, 3\), expected \(1, 512\)"),
        (RULES[0], "exemplars", np.zeros((0, 512), np.float32), r"exemplars .*\(0, 512\)"),
        (RULES[0], "spacing", floats(1, 2, 3), r"spacing .*\(3,\), expected \(2,\)"),
        (RULES[1], "means", floats([1, 0, 0]), r"means of head\.safetensors .*\(1, 3\), expected \(2, 512\)"),
    ],
)
def test_a_rule_that_does_not_fit_the_head_is_named(
    tmp_path: Path, tiny_bundle: TinyBundle, head: Head, name: str, tensor: np.ndarray, said: str
) -> None:
    assert head.rejection is not None
    wrong = replace(head.rejection, **{name: tensor})
    tiny_bundle(tmp_path / "b", head=replace(head, rejection=wrong), file=b"weights")
    with pytest.raises(BundleError, match=said):
        open_bundle(tmp_path / "b")


@pytest.mark.parametrize("head", RULES, ids=["exemplars", "means"])
def test_a_rule_beside_a_weight_of_no_rows_is_an_error_of_the_weight(
    tmp_path: Path, tiny_bundle: TinyBundle, head: Head
) -> None:
    tiny_bundle(tmp_path / "b", head=replace(head, weight=head.weight.ravel()), file=b"weights")
    with pytest.raises(BundleError, match=r"has shape \(1024,\), expected \(2, 512\)"):
        open_bundle(tmp_path / "b")


@pytest.mark.parametrize(("threshold", "none"), [(0.9, False), (1.1, True)])
def test_a_classifier_answers_by_the_rule(
    tmp_path: Path, tiny_bundle: TinyBundle, threshold: float, none: bool
) -> None:
    tiny_bundle(tmp_path / "b", head=rejecting(threshold))
    probabilities, found = Loader().load(tmp_path / "b").answers(np.zeros((2, 224, 224, 3), np.uint8))
    assert found.tolist() == [none, none]
    assert probabilities[0] == pytest.approx([0.731059, 0.268941], abs=1e-5)


def test_familiarity_is_the_odds_of_all_classes_against_the_strangers() -> None:
    versus = floats([1, 0], [0, 1], [0, 0]), floats(0, 0, 0.5)
    rule = Rejection(PLANE.exemplars, PLANE.spacing, 0.0, 1.0, 0.0, 0.5, 0.2, *versus)
    features, sure = floats([1, -9], [0, 0], [1, 0]), floats(*[[0.9, 0.1]] * 3)
    known = [1 - 0.5, np.log(2) - 0.5, np.log(1 + np.e) - 0.5]
    assert rule.columns(features, sure)[:, 3] == pytest.approx(known, abs=1e-3)
    assert rule.none_of_these(features, sure).tolist() == [True, True, False]  # likeness 0.11, 0 and 1
    assert replace(rule, familiar=0.9).none_of_these(features, sure).tolist() == [True, True, True]


def test_a_bundle_keeps_what_was_learned_from_strangers(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    head = rejecting(1.5)
    assert head.rejection is not None
    versus = np.ones((3, 512), np.float32), floats(1, 2, 3)
    rule = replace(head.rejection, familiar=0.5, versus_weight=versus[0], versus_bias=versus[1])
    tiny_bundle(tmp_path / "b", head=replace(head, rejection=rule), file=b"weights")
    found = open_bundle(tmp_path / "b").head.rejection
    assert found is not None
    assert isinstance(found, Rejection)
    assert found.familiar == 0.5
    np.testing.assert_array_equal(found.versus_weight, versus[0])
    np.testing.assert_array_equal(found.versus_bias, versus[1])
    wrong = replace(rule, versus_bias=floats(1, 2))
    tiny_bundle(tmp_path / "c", head=replace(head, rejection=wrong), file=b"weights")
    with pytest.raises(BundleError, match=r"versus_bias of head\.safetensors .*\(2,\), expected \(3,\)"):
        open_bundle(tmp_path / "c")
