"""Which words lead to each hypothesis of a beam: a lattice of word ends that all hypotheses share."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PARENT, WORD, START, END = range(4)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads small numbers over all bits


class Trace(NamedTuple):
    """Rows are word ends, or joins, where hypotheses with different words became one; a row comes after those that
    it refers to. Row 0 stands for the words before all others. Nothing is changed in place, so that states share it.

    Legend: R rows, A alternatives.

    Attributes:
        links: (R, 4) int64: the row before, the word (0 for a join), its first frame, one past its last frame.
        history: (R,) uint64, hash of the words up to here.
        joined: (A,) the join that an alternative belongs to, never falling.
        instead: (A,) the row that could be before the join as well.
        log_odds: (A,) its log-score less that of the row which is before the join, at most 0.
    """

    links: Ints
    history: NDArray[np.uint64]
    joined: Ints
    instead: Ints
    log_odds: Floats

    @classmethod
    def empty(cls) -> Trace:
        none = np.zeros(0, dtype=np.int64)
        return cls(np.zeros((1, 4), dtype=np.int64), np.zeros(1, dtype=np.uint64), none, none, np.zeros(0))

    def histories(self, rows: Ints, words: Ints) -> NDArray[np.uint64]:
        """(N,) hashes of the words up to rows and then one more word each; 0 for none."""
        before = self.history[rows]
        return np.where(words > 0, (before + words.astype(np.uint64)) * _MULTIPLIER ^ (before >> np.uint64(29)), before)

    def append(self, parent: Ints, word: Ints, start: Ints, end: Ints) -> tuple[Trace, Ints]:
        """The trace with more rows, and their numbers."""
        rows = np.arange(len(self.links), len(self.links) + len(word))
        links = np.empty((len(word), 4), dtype=np.int64)
        links[:, PARENT], links[:, WORD], links[:, START], links[:, END] = parent, word, start, end
        trace = self._replace(
            links=np.concatenate([self.links, links]),
            history=np.concatenate([self.history, self.histories(parent, word)]),
        )
        return trace, rows

    def join(self, parent: Ints, owner: Ints, instead: Ints, log_odds: Floats) -> tuple[Trace, Ints]:
        """A join after each of (J,) rows.

        Args:
            parent: (J,) what is before the joins; a row may come more than once.
            owner: (A,) indices into them, never falling, of the joins that the alternatives belong to.
            instead, log_odds: (A,) the alternatives.

        Returns:
            The trace, and the joins' rows.
        """
        zeros = np.zeros_like(parent)
        trace, joins = self.append(parent, zeros, zeros, zeros)
        trace = trace._replace(
            joined=np.concatenate([self.joined, joins[owner]]),
            instead=np.concatenate([self.instead, instead]),
            log_odds=np.concatenate([self.log_odds, log_odds]),
        )
        return trace, joins

    def path(self, row: int) -> list[int]:
        """The rows of the words up to a row, first to last."""
        found = []
        while row:
            if self.links[row, WORD]:
                found.append(row)
            row = int(self.links[row, PARENT])
        return found[::-1]

    def paths(self, rows: Ints, scores: Floats) -> Iterator[tuple[float, tuple[int, ...]]]:
        """All ways through the lattice to some rows, best first, as their words' rows, with their scores."""
        joined = self.joined.tolist()
        heap: list[tuple[float, int, tuple[int, ...]]] = [
            (-score, row, ()) for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        ]
        heapq.heapify(heap)
        while heap:
            cost, row, after = heapq.heappop(heap)
            # What was best where paths joined is best from there on: costs only grow where one takes another way.
            while row:
                for other in range(bisect_left(joined, row), bisect_right(joined, row)):
                    heapq.heappush(heap, (cost - float(self.log_odds[other]), int(self.instead[other]), after))
                parent, word = self.links[row, : WORD + 1].tolist()
                if word:
                    after = (row, *after)
                row = parent
            yield -cost, after

    def masses(self, rows: Ints, weights: Floats, temperature: float) -> Floats:
        """(R,) the share of all ways to some rows that goes through each row.

        Args:
            rows, weights: (H,) where the ways end, and their shares, with a sum of 1.
            temperature: log-odds are divided by this.
        """
        mass = np.bincount(rows, weights=weights, minlength=len(self.links)).tolist()
        parent, joined, instead = self.links[:, PARENT].tolist(), self.joined.tolist(), self.instead.tolist()
        odds = np.exp(self.log_odds / temperature).tolist()
        last = len(joined)  # the alternatives of a join are neighbours, those of later joins come after them
        for row in range(len(parent) - 1, 0, -1):
            first = last
            while first and joined[first - 1] == row:
                first -= 1
            share = mass[row]
            if share:
                if first < last:
                    share /= 1.0 + sum(odds[first:last])
                    for other in range(first, last):
                        mass[instead[other]] += share * odds[other]
                mass[parent[row]] += share
            last = first
        return np.array(mass)

    def posterior(self, row: int, masses: Floats) -> float:
        """The share of the ways that have a row's word at about its time."""
        _, word, start, end = self.links[row].tolist()
        overlap = np.minimum(self.links[:, END], end) - np.maximum(self.links[:, START], start)
        same = (self.links[:, WORD] == word) & (overlap > 0)
        return min(1.0, float(masses[same].sum()))

    def common(self, live: Ints) -> list[int]:
        """The rows of the words that all rows (H,) begin with, alternatives left aside."""
        parent = self.links[:, PARENT].tolist()
        front = set(live.tolist())
        heap = [-row for row in front]
        heapq.heapify(heap)
        # The last row is before no other one: go back from it until one is left.
        while len(heap) > 1:
            before = parent[-heapq.heappop(heap)]
            if before not in front:
                front.add(before)
                heapq.heappush(heap, -before)
        return self.path(-heap[0])

    def trim(self, live: Ints, top: int) -> tuple[Trace, Ints]:
        """Without the rows that no hypothesis needs and those before row `top`, which takes the place of row 0.

        Args:
            live: (H,) the row of each hypothesis; all come after `top`.

        Returns:
            The trace, and the hypotheses' rows in it.
        """
        parent, joined, instead = self.links[:, PARENT].tolist(), self.joined.tolist(), self.instead.tolist()
        wanted = [False] * len(parent)
        for row in live.tolist():
            wanted[row] = True
        last = len(joined)
        for row in range(len(parent) - 1, top, -1):
            first = last
            while first and joined[first - 1] == row:
                first -= 1
            if wanted[row]:
                for before in (parent[row], *instead[first:last]):
                    wanted[before] = True
            last = first
        wanted[: top + 1] = [False] * top + [True]
        # Ways that don't go through `top` have lost: what all hypotheses begin with is settled.
        for row in range(top + 1, len(parent)):
            wanted[row] = wanted[row] and wanted[parent[row]]
        needed = np.array(wanted)
        kept = np.flatnonzero(needed)
        number = np.full(len(wanted), -1)
        number[kept] = np.arange(len(kept))
        links = self.links[kept]
        links[:, PARENT] = number[links[:, PARENT]]
        links[0] = 0
        joined, instead = number[self.joined], number[self.instead]
        alive = (joined > 0) & (instead >= 0)
        trace = Trace(links, self.history[kept], joined[alive], instead[alive], self.log_odds[alive])
        return trace, number[live]
