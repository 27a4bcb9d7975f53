"""Finding the same picture again: the hash proposes, the pixels decide.

A perceptual hash sees shapes, not colours, so a pair it proposes is compared as two tiny colour
pictures. The bounds were measured on 720 photographs and 771 drawings: a picture saved again at
quality 30 or a quarter of its size differs by at most 2 bits and 2 levels, one with 2 % cut off all
around mostly by at most 6 bits and 9 levels; different photographs differ by 10 bits or more. A
picture that was only made lighter, darker or of other contrast is near too, once both are put in the
same light: all of 150 photographs with 0.7 to 1.1 times the light or 0.8 to 1.2 times the contrast were,
and no two different pictures of all came near by it.

A mirrored picture has the cosine coefficients of the picture itself, with the sign of those of odd
horizontal frequency changed, so their bits flip, but for those next to the median: mirrored and saved
again at quality 70, 94 % of the photographs and 87 % of the drawings are found. The thumbnails may differ as
little as those of the same picture, or simple shapes would be one another's mirrored copies. No two of the
photographs came near by it, and of the drawings only mirrored ones (b and d, < and >), or of one near already.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Likeness:
    """How far apart two pictures may be.

    Attributes:
        bits: Hamming distance of the 64-bit perceptual hashes.
        levels: mean absolute difference of the thumbnails, in [0, 255]; of near ones in the same light.
    """

    bits: int
    levels: float


NEAR = Likeness(bits=6, levels=10)
SAME = Likeness(bits=2, levels=4)
THUMBNAIL = 8
_LIT = 1.6  # times the mean and the deviation of a thumbnail that another light may make
_FLAT = 8.0  # levels of deviation below which a thumbnail shows too little to be put in another light

Thumbnail = NDArray[np.float32]
_EQUAL_BLOCKS = 3
_INDEX_BITS = 24  # 16 million pictures, which leaves 40 bits for keys and folds
_PART = 2**13  # hashes searched at a time
_INDEX_MASK = np.uint64(2**_INDEX_BITS - 1)
_USUAL_BITS = 32  # a hash is coefficients above their median, so half its bits are set
_TIED_BITS = 8
_ODD_COLUMNS = np.uint64(0x5555555555555555)  # of the 8 x 8 coefficients, the horizontal frequencies 1, 3, 5 and 7


@dataclass(frozen=True)
class Pair:
    """Two near-duplicates by their index.

    Attributes:
        same: they differ no more than by saving again.
        mirrored: they are near only where one is turned left to right.
    """

    first: int
    second: int
    same: bool
    mirrored: bool = False


def thumbnail(image: Image.Image) -> Thumbnail:
    """An RGB picture as (8, 8, 3) float32 in [0, 255], for comparing colours."""
    return np.asarray(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), dtype=np.float32)


def find_pairs(phashes: Sequence[str], look: Callable[[int], Thumbnail | None]) -> list[Pair]:
    """All pairs of near-duplicates.

    Args:
        phashes: 16 hexadecimal digits each, "" for none.
        look: the thumbnail of the picture of an index, None where it cannot be had; it is asked
            only for pictures that the hash proposes.
    """
    places = [i for i, text in enumerate(phashes) if _says_something(text)]
    hashes = np.array([int(phashes[i], 16) for i in places], dtype=np.uint64)
    seen = cache(look)
    pairs: dict[tuple[int, int], Pair] = {}
    for a, b, mirrored in _proposed(hashes):
        first, second = places[a], places[b]
        if (first, second) in pairs:
            continue
        as_they_are, lit_alike = _differences(_turned(seen(first)) if mirrored else seen(first), seen(second))
        saved_again = as_they_are <= SAME.levels
        if saved_again or (lit_alike <= NEAR.levels and not mirrored):
            bits = int(hashes[a] ^ hashes[b]).bit_count()
            pairs[first, second] = Pair(first, second, saved_again and bits <= SAME.bits and not mirrored, mirrored)
    return list(pairs.values())


def near_pairs(hashes: NDArray[np.uint64], max_distance: int) -> NDArray[np.int64]:
    """All pairs (P, 2) of indices i < j whose hashes differ in at most `max_distance` bits.

    Of `max_distance` + 3 blocks of bits, three or more are equal in such a pair. So for each choice of
    three blocks the hashes are sorted by them, and those with equal keys are compared (block
    permutations, Manku et al. 2007). Keys are long enough that few unlike hashes share one.
    """
    blocks = _blocks(max(max_distance, 2) + _EQUAL_BLOCKS)
    found = [np.empty((0, 2), dtype=np.int64)]
    for first in range(len(blocks) - _EQUAL_BLOCKS + 1):
        for part in _parts(hashes, blocks[first]):
            search = _Search(hashes[part], blocks, max_distance)
            found += [np.sort(part[pairs], axis=1) for pairs in search.pairs_equal_in_first(first)]
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _proposed(hashes: NDArray[np.uint64]) -> Iterator[tuple[int, int, bool]]:
    """The pairs i < j of near hashes, and whether they are so only once one is mirrored, which comes after."""
    count = len(hashes)
    for a, b in near_pairs(np.concatenate([hashes, hashes ^ _ODD_COLUMNS]), NEAR.bits).tolist():
        if a < b % count and a < count:  # the others are the same pairs, seen from the other side
            yield a, b % count, b >= count


def components(count: int, pairs: Sequence[Pair]) -> NDArray[np.int32]:
    """The cluster (count,) of each picture: those joined by pairs, directly or through others, share a number."""
    rows, columns = [p.first for p in pairs], [p.second for p in pairs]
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (rows, columns)), shape=(count, count))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels


@dataclass(frozen=True)
class _Block:
    """Some neighbouring bits of a hash."""

    shift: int
    bits: int

    def of(self, hashes: NDArray[np.uint64], out: NDArray[np.uint64] | None = None) -> NDArray[np.uint64]:
        shifted = np.right_shift(hashes, np.uint64(self.shift), out=out)
        return np.bitwise_and(shifted, np.uint64(2**self.bits - 1), out=out)


def _blocks(count: int) -> list[_Block]:
    edges = [round(i * 64 / count) for i in range(count + 1)]
    return [_Block(low, high - low) for low, high in pairwise(edges)]


def _parts(hashes: NDArray[np.uint64], block: _Block) -> Iterator[NDArray[np.int64]]:
    """The indices of all hashes in parts that fit the processor's cache; hashes with that block equal share a part."""
    values = block.of(hashes).astype(np.uint16)
    order = np.argsort(values, kind="stable")
    start = 0
    for end in np.searchsorted(values, np.arange(2**block.bits), "right", sorter=order).tolist():
        if end - start >= _PART or start < end == len(hashes):
            yield order[start:end]
            start = end


class _Search:
    """Sorts hashes by choices of blocks, in arrays that are kept: allocating them anew would take most of the time.

    What is sorted is one number for each hash: the chosen blocks, then a fold of the whole hash, then
    its index. Sorting that is many times faster than sorting indirectly, and the folds of neighbours
    turn most unlike ones away without a look at the hashes themselves, which lie far apart.
    """

    def __init__(self, hashes: NDArray[np.uint64], blocks: Sequence[_Block], max_distance: int) -> None:
        self._hashes, self._blocks, self._max_distance = hashes, blocks, max_distance
        self._key_bits = sum(sorted(b.bits for b in blocks)[-_EQUAL_BLOCKS:])
        fold = _fold(hashes, 64 - _INDEX_BITS - self._key_bits)
        self._low = (fold << np.uint64(_INDEX_BITS)) | np.arange(len(hashes), dtype=np.uint64)
        self._sorted, self._spare = np.empty_like(hashes), np.empty_like(hashes)

    def pairs_equal_in_first(self, first: int) -> Iterator[NDArray[np.int64]]:
        """The near pairs whose first equal block is that one, each pair once."""
        for others in combinations(range(first + 1, len(self._blocks)), _EQUAL_BLOCKS - 1):
            yield self._pairs_equal_in((first, *others))

    def _pairs_equal_in(self, chosen: Sequence[int]) -> NDArray[np.int64]:
        """The near pairs whose first equal blocks are the chosen ones, so that no two choices give the same pair."""
        self._sort_by([self._blocks[b] for b in chosen])
        earlier = [self._blocks[b] for b in range(chosen[-1]) if b not in chosen]
        places, step, pairs = self._equal_to_next(), 1, [np.empty((0, 2), dtype=np.int64)]
        while len(places):
            pairs.append(self._near(places, places + step, earlier))
            step += 1
            places = places[places + step < len(self._sorted)]
            places = places[self._sorted[places] ^ self._sorted[places + step] < self._key_unit]
        return np.concatenate(pairs)

    @property
    def _key_unit(self) -> np.uint64:
        """Numbers whose keys are equal differ by less than this."""
        return np.uint64(1 << (64 - self._key_bits))

    def _sort_by(self, blocks: Sequence[_Block]) -> None:
        self._sorted[:], offset = self._low, 64 - self._key_bits
        for block in blocks:
            block.of(self._hashes, out=self._spare)
            self._spare <<= np.uint64(offset)
            self._sorted |= self._spare
            offset += block.bits
        self._sorted.sort()

    def _equal_to_next(self) -> NDArray[np.int64]:
        """The places in the order whose key is also the next one's."""
        spare = np.bitwise_xor(self._sorted[1:], self._sorted[:-1], out=self._spare[1:])
        return np.flatnonzero(spare < self._key_unit)

    def _near(self, left: NDArray[np.int64], right: NDArray[np.int64], earlier: Sequence[_Block]) -> NDArray[np.int64]:
        """Of pairs of places, the pairs of indices whose hashes are near and differ in each of the earlier blocks."""
        low, high = self._sorted[left], self._sorted[right]
        folds = (low ^ high) >> np.uint64(_INDEX_BITS)
        likely = np.flatnonzero(np.bitwise_count(folds) <= self._max_distance)
        pairs = (np.stack([low[likely], high[likely]], axis=1) & _INDEX_MASK).astype(np.int64)
        differing = self._hashes[pairs[:, 0]] ^ self._hashes[pairs[:, 1]]
        wanted = np.bitwise_count(differing) <= self._max_distance
        for block in earlier:
            wanted &= block.of(differing) != 0
        near: NDArray[np.int64] = pairs[wanted]
        return near


def _fold(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Each hash cut into pieces of so many bits, combined by exclusive or.

    A differing bit of two hashes changes one bit of the fold, so folds differ in no more bits than hashes.
    """
    fold = np.zeros_like(hashes)
    for shift in range(0, 64, bits):
        fold ^= hashes >> np.uint64(shift)
    return fold & np.uint64(2**bits - 1)


def _says_something(phash: str) -> bool:
    """False for flat pictures and plain gradients: their coefficients tie, and all look alike to the hash."""
    return bool(phash) and abs(int(phash, 16).bit_count() - _USUAL_BITS) <= _TIED_BITS


def _differences(a: Thumbnail | None, b: Thumbnail | None) -> tuple[float, float]:
    """Mean absolute difference in levels, as they are and at the least in the same light.

    0 where a picture cannot be looked at, so that the hash decides.
    """
    if a is None or b is None:
        return 0.0, 0.0
    plain = float(np.abs(a - b).mean())
    (light_a, light_b), (contrast_a, contrast_b) = (a.mean(), b.mean()), (a.std(), b.std())
    if min(contrast_a, contrast_b) < _FLAT or not _alike(light_a, light_b) or not _alike(contrast_a, contrast_b):
        return plain, plain
    gap = (a - light_a) / contrast_a - (b - light_b) / contrast_b
    return plain, min(plain, float(np.abs(gap).mean() * np.sqrt(contrast_a * contrast_b)))


def _turned(look: Thumbnail | None) -> Thumbnail | None:
    return None if look is None else look[:, ::-1]


def _alike(a: float, b: float) -> bool:
    """Whether another light may be all that makes two means or deviations of thumbnails differ."""
    return max(a, b) <= _LIT * min(a, b)
