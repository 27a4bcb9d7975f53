"""How many pictures of a class are right, from a sample that a person answered.

Suspects are drawn more often than the rest, and each stratum counts by its size, so the estimate stays
unbiased (Cochran 1977, "Sampling Techniques", chapter 5):

    share = sum over strata of W_h p_h,   W_h = N_h / N,   p_h = right / answered in the stratum

The interval combines each stratum's Wilson interval (l_h, u_h) by the method of variance estimates
recovery (Zou, Huang, Zhang 2009, "A note on confidence interval estimation for a linear function of
binomial proportions"), narrowed by the finite population correction f_h = sqrt(1 - n_h / N_h):

    low  = share - sqrt(sum (W_h f_h (p_h - l_h))^2),   high = share + sqrt(sum (W_h f_h (u_h - p_h))^2)
"""

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tellapart.dataset import Dataset
from tellapart.decisions import AuditItem, Decisions
from tellapart.errors import DataError, UsageError
from tellapart.intervals import wilson
from tellapart.manifest import Attempt

SAMPLE = 30
SUSPECTS, OTHERS = "suspects", "others"


@dataclass(frozen=True)
class Purity:
    """The share of right pictures of a class, with its 95 % interval.

    Attributes:
        share: None while a stratum has no answer.
        low, high: of the interval, 0 and 1 while there is no share.
        answered, asked: pictures of the sample.
        pictures: how many the class had when the sample was drawn.
    """

    share: float | None
    low: float
    high: float
    answered: int
    asked: int
    pictures: int


def draw_sample(dataset: Dataset, class_slug: str, size: int = SAMPLE, seed: int = 0) -> list[AuditItem]:
    """The pictures of a class to ask a person about, in the order to ask, with the answers given so far.

    The stored sample is used on while the class has the pictures it was drawn from; else, and where more are
    asked for, another is drawn, stored, and takes over the answers to the pictures it shares with the old
    one. Up to half are suspects. The order is shuffled, so that stopping early leaves a sample of each stratum.

    Raises:
        UsageError: a sample of less than 2 pictures.
    """
    if size < 2:
        raise UsageError(f"a sample of {size} pictures", "Ask about at least 2")
    decisions = Decisions(dataset.manifest)
    kept, stored = dataset.manifest.kept(class_slug), decisions.audit(class_slug)
    if _is_of(stored, kept) and len(stored) >= min(size, len(kept)):
        return stored
    known = {item.sha256: item for item in stored}
    proved_right = {item.sha256 for item in stored if item.stratum == SUSPECTS and item.right}
    drawn = _draw(class_slug, kept, proved_right, max(size, len(stored)), seed)
    sample = [
        replace(item, right=known[item.sha256].right, answered_at=known[item.sha256].answered_at)
        if item.sha256 in known
        else item
        for item in drawn
    ]
    decisions.draw(class_slug, sample)
    return sample


def answer(dataset: Dataset, class_slug: str, sha256: str, right: bool | None) -> None:
    """Store a person's answer: does the picture show its class? None takes it back. If it does, it is no suspect.

    Raises:
        DataError: the picture is not in the class's sample.
    """
    with dataset.deciding():
        found = Decisions(dataset.manifest).answer(class_slug, sha256, right)
    if not found:
        raise DataError(
            f"the picture {sha256[:12]} is not in the sample of {class_slug!r}",
            "Answer what the audit asks",
        )


def estimate(dataset: Dataset, class_slug: str) -> Purity:
    """The purity of a class as it was when its sample was drawn, from the answers there are."""
    return estimate_from(Decisions(dataset.manifest).audit(class_slug))


def estimate_from(items: Sequence[AuditItem]) -> Purity:
    """The same from a sample at hand; see the formula above."""
    sizes = {item.stratum: item.stratum_size for item in items}
    answers = {name: [i.right for i in items if i.stratum == name and i.right is not None] for name in sizes}
    total, answered = sum(sizes.values()), sum(map(len, answers.values()))
    if not total or not all(answers.values()):
        return Purity(None, 0.0, 1.0, answered, len(items), total)
    share = below = above = 0.0
    for name, given in answers.items():
        weight, p = sizes[name] / total, sum(map(bool, given)) / len(given)
        low, high = wilson(p * len(given), len(given))
        narrowed = weight * math.sqrt(1 - len(given) / sizes[name])
        share += weight * p
        below += (narrowed * (p - low)) ** 2
        above += (narrowed * (high - p)) ** 2
    low, high = max(0.0, share - math.sqrt(below)), min(1.0, share + math.sqrt(above))
    return Purity(share, low, high, answered, len(items), total)


def _is_of(sample: Sequence[AuditItem], kept: Sequence[Attempt]) -> bool:
    """Whether a sample was drawn from a class that has these pictures."""
    sizes = {item.stratum: item.stratum_size for item in sample}
    return sum(sizes.values()) == len(kept) and {i.sha256 for i in sample} <= {a.sha256 for a in kept}


def _draw(
    class_slug: str, kept: Sequence[Attempt], proved_right: Collection[str], size: int, seed: int
) -> list[AuditItem]:
    """A sample of the suspects, with those that an audit made none, and of the others.

    Without them, wrong ones would be left where the lots are lowest, and the share of the suspects come out too low.
    """
    suspects = [a.sha256 for a in kept if a.flags or a.sha256 in proved_right]
    others = [a.sha256 for a in kept if not a.flags and a.sha256 not in proved_right]
    n_suspects = min(len(suspects), max(size // 2, size - len(others)))
    chosen = [
        *_choose(class_slug, SUSPECTS, suspects, n_suspects, seed),
        *_choose(class_slug, OTHERS, others, size - n_suspects, seed),
    ]
    return sorted(chosen, key=lambda item: _lot(f"order {seed}", item.sha256))


def _choose(class_slug: str, stratum: str, digests: Sequence[str], count: int, seed: int) -> list[AuditItem]:
    """Drawn by lots that depend on the stratum: a suspect that proved right is not likelier among the others."""
    drawn = sorted(digests, key=lambda digest: _lot(f"draw {seed} {stratum}", digest))[:count]
    return [AuditItem(class_slug, digest, stratum, len(digests)) for digest in drawn]


def _lot(draw: str, digest: str) -> bytes:
    """A number drawn for a picture: the same for the same seed, whatever other pictures there are."""
    return hashlib.sha256(f"{draw} {digest}".encode()).digest()
