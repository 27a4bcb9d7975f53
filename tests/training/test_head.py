"""The head: the optimum it finds, the choice of C, calibration, and folds that do not leak."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tellapart.folds import grouped_folds
from training.calibrate import fit_adjustment, fit_temperature, negative_log_likelihood
from training.head import Choice, Learner, choose, fit_chosen, fit_head


def blobs(n: int, dim: int, classes: int, seed: int = 0, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % classes
    centres = np.random.default_rng(99).normal(size=(classes, dim)) * spread
    return (centres[targets] + rng.normal(size=(n, dim)) * 2 + 5).astype(np.float32), targets


@pytest.mark.parametrize(("n", "dim"), [(60, 200), (300, 20)])
@pytest.mark.parametrize("classes", [2, 4])
def test_equals_scikit_learn_on_standardised_features(n: int, dim: int, classes: int) -> None:
    features, targets = blobs(n, dim, classes)
    scaler = StandardScaler().fit(features.astype(np.float64))
    plain = LogisticRegression(C=0.01, tol=1e-7, max_iter=2000).fit(scaler.transform(features), targets)
    found = fit_head(features, targets, classes, 0.01).probabilities(features)
    np.testing.assert_allclose(found, plain.predict_proba(scaler.transform(features)), atol=2e-3)


@pytest.mark.parametrize(("n", "dim"), [(60, 200), (300, 20)])
def test_where_the_solver_begins_changes_nothing(n: int, dim: int) -> None:
    """Begun from a head that knew one class more, it answers as if begun from nothing."""
    features, targets = blobs(n, dim, 4)
    three = targets != 3
    learner = Learner(features[three])
    (cold,) = learner.fit(targets[three], 4, (0.01,))
    (warm,) = learner.fit(targets[three], 4, (0.01,), start=fit_head(features, targets, 4, 0.01))
    np.testing.assert_allclose(warm.probabilities(features), cold.probabilities(features), atol=2e-3)


def test_a_class_without_pictures_is_never_answered() -> None:
    features, targets = blobs(40, 8, 2)
    head = fit_head(features, targets * 2, 3, 0.01)
    assert head.weight.shape == (3, 8)
    assert head.probabilities(features)[:, 1].max() < 1e-6


def test_a_constant_feature_does_no_harm() -> None:
    features, targets = blobs(40, 8, 2)
    features[:, 3] = 7
    assert np.isfinite(fit_head(features, targets, 2, 0.01).weight).all()


@pytest.mark.parametrize("dim", [20, 200])
def test_a_feature_live_in_one_picture_alone_does_not_decide(dim: int) -> None:
    """Of 40 pictures of two classes that are plainly different, one has a trace of what new pictures have in full."""
    rng = np.random.default_rng(0)
    targets = np.arange(40) % 2
    features = (np.abs(rng.normal(size=(40, dim))) + 3 * targets[:, None]).astype(np.float32)
    features[:, 0], features[0, 0] = 0, 1e-5
    head = fit_head(features, targets, 2, 0.01)
    new = features.copy()
    new[:, 0] = 1.0
    np.testing.assert_array_equal(head.probabilities(new).argmax(axis=1), targets)
    assert np.abs(head.weight[:, 0]).max() < np.abs(head.weight[:, 1:]).max()


@pytest.mark.parametrize("seed", range(8))
def test_copies_of_a_few_pictures_are_fitted(seed: int) -> None:
    """Two pictures, each many times over and not equally often: their inner products have rank 1."""
    rng = np.random.default_rng(seed)
    for first in range(5, 50, 5):
        targets = (np.arange(100) >= first).astype(int)
        features = np.abs(rng.normal(size=(2, 1280)))[targets].astype(np.float32)
        found = fit_head(features, targets, 2, 0.01).probabilities(features)
        np.testing.assert_array_equal(found.argmax(axis=1), targets)


def test_noise_asks_for_more_regularisation_than_signal() -> None:
    groups = np.arange(120).astype(str)
    chosen = {}
    for name, spread in (("signal", 3.0), ("noise", 0.0)):
        features, targets = blobs(120, 50, 3, spread=spread)
        chosen[name] = choose(features, targets, 3, grouped_folds(targets, groups, 0), lambda: None)
    assert chosen["noise"].c < chosen["signal"].c


def test_too_few_pictures_to_choose_take_the_defaults() -> None:
    features, targets = blobs(2, 8, 2)
    choice = choose(features, targets, 2, grouped_folds(targets, np.array(["a", "b"]), 0), lambda: None)
    assert (choice.folds, choice.temperature) == (0, 1.0)


def test_temperature_is_found_again() -> None:
    rng = np.random.default_rng(0)
    true_logits = rng.normal(size=(20_000, 4)) * 2
    shares = np.exp(true_logits) / np.exp(true_logits).sum(1, keepdims=True)
    targets = (shares.cumsum(1) > rng.random((20_000, 1))).argmax(1)
    assert fit_temperature(true_logits * 3, targets) == pytest.approx(3, rel=0.05)


def test_temperature_is_the_least_loss() -> None:
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(size=(500, 3)), rng.integers(0, 3, 500)
    logits[np.arange(500), targets] += 1
    best = fit_temperature(logits, targets)
    losses = [negative_log_likelihood(logits, targets, best * factor) for factor in (1, 0.8, 1.25)]
    assert losses[0] == min(losses)


def test_what_small_classes_were_held_back_by_is_found_again() -> None:
    """Logits of which a half, and the whole logarithm of the shares too much, is what the pictures are drawn by."""
    rng = np.random.default_rng(0)
    shares = np.array([0.8, 0.15, 0.05])
    true_logits = rng.normal(size=(20_000, 3)) * 3 + np.log(shares)
    drawn = np.exp(true_logits) / np.exp(true_logits).sum(1, keepdims=True)
    targets = (drawn.cumsum(1) > rng.random((20_000, 1))).argmax(1)
    temperature, adjustment = fit_adjustment((true_logits + 0.6 * np.log(shares)) / 2, targets, shares)
    assert temperature == pytest.approx(0.5, rel=0.05)
    assert adjustment == pytest.approx(0.3, abs=0.03)


def test_equal_classes_are_not_adjusted() -> None:
    logits, targets = np.random.default_rng(0).normal(size=(90, 3)), np.arange(90) % 3
    assert fit_adjustment(logits, targets, np.full(3, 1 / 3)) == (fit_temperature(logits, targets), 0.0)


def test_a_small_class_is_found_among_large_ones() -> None:
    """120, 60 and 9 pictures learn; by the same head without the adjustment far fewer of the small class are found."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 300)) * 0.2
    targets, asked = np.repeat(np.arange(3), (120, 60, 9)), np.repeat(np.arange(3), 200)
    features, new = ((centres[t] + rng.normal(size=(len(t), 300))).astype(np.float32) for t in (targets, asked))
    folds = grouped_folds(targets, np.arange(len(targets)).astype(str), 0)
    choice = choose(features, targets, 3, folds, lambda: None)
    plain = replace(choice, adjustment=0.0)
    found, found_before = (
        (fit_chosen(features, targets, 3, c).probabilities(new).argmax(1)[asked == 2] == 2).mean()
        for c in (choice, plain)
    )
    assert found > found_before + 0.1


def test_a_class_without_a_picture_is_not_lifted() -> None:
    features, targets = blobs(60, 8, 3)
    targets[targets == 2] = 0
    plain, adjusted = (
        fit_chosen(features, targets, 3, Choice(0.1, 1.0, 0, adjustment=a)).probabilities(features) for a in (0.0, 1.0)
    )
    assert (adjusted[:, 2] <= plain[:, 2]).all()


def test_few_easy_pictures_do_not_promise_certainty() -> None:
    assert fit_temperature(np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([0, 1])) > 0.3


@pytest.mark.parametrize("seed", range(5))
def test_folds_keep_groups_whole_and_judge_everything_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 4, 90)
    groups = np.array([f"g{g}" for g in rng.integers(0, 30, 90)])
    folds = grouped_folds(targets, groups, seed)
    assert len(folds) == 5
    for train, held in folds:
        assert not set(groups[train]) & set(groups[held])
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(90))


def test_folds_have_the_same_share_of_each_class() -> None:
    targets = np.repeat([0, 1, 2], (83, 40, 7))
    held = [held for _, held in grouped_folds(targets, np.arange(130).astype(str), 0)]
    shares = np.array([np.bincount(targets[h], minlength=3) for h in held])
    assert (np.ptp(shares, axis=0) <= 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_groups_of_any_size_are_dealt_so_that_folds_have_the_same_share_of_each_class(seed: int) -> None:
    """Each class fills five folds of twelve pictures, where the large groups are dealt first."""
    sizes = [12, 9, 9, 6, 5, 5, 4, 3, 3, 2, 1, 1] * 2
    targets, groups = np.repeat(np.repeat([0, 1], 12), sizes), np.repeat(np.arange(24), sizes).astype(str)
    shuffled = np.random.default_rng(seed).permutation(120)
    targets, groups = targets[shuffled], groups[shuffled]
    held = [held for _, held in grouped_folds(targets, groups, seed)]
    assert [np.bincount(targets[h]).tolist() for h in held] == [[12, 12]] * 5


@pytest.mark.parametrize(("counts", "expected"), [((2, 2), 2), ((3, 3), 3), ((2, 40), 5), ((1, 1), 0)])
def test_folds_adapt_to_few_pictures(counts: tuple[int, int], expected: int) -> None:
    targets = np.repeat([0, 1], counts)
    folds = grouped_folds(targets, np.arange(len(targets)).astype(str), 0)
    assert len(folds) == expected
    for train, _ in folds:
        assert set(targets[train]) == {0, 1}
