"""A pronunciation lexicon as a prefix tree in flat arrays, for a search that extends many nodes at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
ROOT = 0


class PrefixTree(NamedTuple):
    """Nodes by depth, then in the order of their token sequences, so that a node's children are neighbours.

    Legend: N nodes (node 0 is the root), E entries (word, token sequence).

    Attributes:
        token: (N,) the token that leads to the node; 0 for the root.
        parent: (N,) the node above; the root is its own.
        first_child, children: (N,) where a node's children begin, and how many they are.
        first_word, words: (N,) where the words that end at a node begin in `word`, and how many they are.
        word: (E,) word ids, grouped by the node where they end.
    """

    token: Ints
    parent: Ints
    first_child: Ints
    children: Ints
    first_word: Ints
    words: Ints
    word: Ints

    @classmethod
    def build(cls, word: NDArray[np.integer], tokens: NDArray[np.integer]) -> PrefixTree:
        """From (E,) word ids and their (E, L) token sequences, padded with 0 (the blank) at the end.

        An entry without tokens would end at the root: it is refused with a ValueError, and so is an empty lexicon.
        """
        tokens = np.asarray(tokens)
        lengths = (tokens != 0).sum(axis=1)
        if len(tokens) == 0 or lengths.min() == 0:
            raise ValueError("a lexicon needs entries, and each of them tokens")
        # Rows as strings of big-endian numbers sort like tuples, and much faster than by their columns.
        packed = np.ascontiguousarray(tokens, dtype=np.uint8 if tokens.max() < 256 else ">u4")
        order = np.argsort(packed.view(f"S{packed.dtype.itemsize * packed.shape[1]}")[:, 0], kind="stable")
        tokens, lengths, word = tokens[order], lengths[order], np.asarray(word, dtype=np.int64)[order]
        # How many leading tokens each row shares with the one before: what is after that is new nodes.
        shared = np.zeros(len(tokens), dtype=np.int64)
        if len(tokens) > 1:
            same = tokens[1:] == tokens[:-1]
            shared[1:] = np.where(same.all(axis=1), tokens.shape[1], same.argmin(axis=1))

        node_token, node_parent = [np.zeros(1, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
        at = np.zeros(len(tokens), dtype=np.int64)  # the node of each row's prefix of the depth reached so far
        end = np.zeros(len(tokens), dtype=np.int64)
        count = 1
        for depth in range(tokens.shape[1]):
            rows = np.flatnonzero(lengths > depth)
            new = shared[rows] <= depth
            # The first row of the level is new although a shorter row may stand between it and its prefix's first row.
            node_token.append(tokens[rows[new], depth].astype(np.int64))
            node_parent.append(at[rows[new]])
            at[rows] = count + np.cumsum(new) - 1
            count += int(new.sum())
            ended = rows[lengths[rows] == depth + 1]
            end[ended] = at[ended]
        token, parent = np.concatenate(node_token), np.concatenate(node_parent)
        children = np.bincount(parent[1:], minlength=count)
        words = np.bincount(end, minlength=count)
        return cls(
            token=token,
            parent=parent,
            first_child=1 + np.cumsum(children) - children,
            children=children,
            first_word=np.cumsum(words) - words,
            words=words,
            word=word[np.argsort(end, kind="stable")],
        )

    def below(self, nodes: Ints) -> tuple[Ints, Ints]:
        """All children of (M,) nodes: index into `nodes`, child."""
        return _ranges(self.first_child[nodes], self.children[nodes])

    def ending(self, nodes: Ints) -> tuple[Ints, Ints]:
        """All words that end at (M,) nodes: index into `nodes`, word."""
        which, entry = _ranges(self.first_word[nodes], self.words[nodes])
        return which, self.word[entry]

    def best_below(self, score: NDArray[np.floating]) -> NDArray[np.float64]:
        """(number of word ids,) scores -> (N,) the highest of the words that end at or below each node."""
        best = np.full(len(self.token), -np.inf)
        node = np.repeat(np.arange(len(self.words)), self.words)
        np.maximum.at(best, node, score[self.word])
        # Deeper nodes have higher numbers, so levels can be folded into their parents from the last one up.
        levels = [0]
        depth_start = 1
        while depth_start < len(self.token):
            levels.append(depth_start)
            inside = slice(levels[-2], depth_start)
            depth_start += int(self.children[inside].sum())
        for begin, stop in reversed(list(zip(levels[1:], [*levels[2:], len(self.token)], strict=True))):
            np.maximum.at(best, self.parent[begin:stop], best[begin:stop])
        return best


def _ranges(first: Ints, count: Ints) -> tuple[Ints, Ints]:
    """For each i, the numbers first[i] to first[i] + count[i] - 1: the i's, and the numbers, one after the other."""
    which = np.arange(len(count)).repeat(count)
    return which, np.arange(len(which)) + (first - count.cumsum() + count)[which]
