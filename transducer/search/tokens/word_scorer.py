"""What words add to the score of a hypothesis: a language model, and phrases that are to be expected.

A scorer's contexts are integers, so that contexts of many hypotheses are scored, compared and kept as arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from transducer.text.lm.ngram import UNK, NGram

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class WordScorer(Protocol):
    """Attributes:
    start: context at the beginning of a segment.
    contexts: a number that all contexts are below.
    """

    start: int
    contexts: int

    def score(self, contexts: Ints, words: Ints) -> tuple[Floats, Ints]:
        """What each of (N,) words adds to the score after (N,) contexts, and the contexts after the words."""
        ...

    def end(self, contexts: Ints) -> Floats:
        """What it adds to the score that a segment ends after (N,) contexts."""
        ...

    def estimate(self) -> Floats:
        """(W,) what each word adds where its context is not known; for look-ahead within words."""
        ...


class LanguageModelScorer:
    """weight * log p(word | words before) + bonus.

    Args:
        lm: the language model.
        ids: (W,) the model's id of each word of the search; `UNK` for those it doesn't have.
        weight: of its log-probabilities.
        bonus: for every word; makes up for the cost that each word has in a language model.
        end_weight: of log p(end of sentence), in parts of `weight`. Segments end at pauses, which need not be
            the end of a sentence.
        unknown: log-probability of one word among all those that the model doesn't have.
    """

    def __init__(
        self, lm: NGram, ids: Ints, weight: float, bonus: float = 0.0, end_weight: float = 0.5, unknown: float = -10.0
    ):
        self.lm, self.weight, self.bonus, self.end_weight = lm, weight, bonus, end_weight
        self.ids = np.asarray(ids, dtype=np.int64)
        self._extra = np.where(self.ids == UNK, weight * unknown, 0.0) + bonus
        self.start = lm.start
        self.contexts = lm.states

    def score(self, contexts: Ints, words: Ints) -> tuple[Floats, Ints]:
        log_p, after = self.lm.score(contexts, self.ids[words])
        return self.weight * log_p + self._extra[words], after

    def end(self, contexts: Ints) -> Floats:
        return self.end_weight * self.weight * self.lm.log_end(contexts)

    def estimate(self) -> Floats:
        return self.weight * self.lm.unigram_log_p[self.ids] + self._extra


class PhraseBoost:
    """Adds a weight to the score for every phrase that occurs (contextual biasing).

    A phrase's weight is spread over its words, so that its beginning is lifted already; what was given for a
    beginning is taken back where the phrase breaks off. Phrases may overlap: each counts. An automaton after
    A. Aho, M. Corasick, "Efficient string matching", 1975, follows all phrases at once.

    Args:
        scorer: whose scores the weights are added to.
        phrases: word ids and weight of each phrase; a weight is in the unit of log-probabilities.
    """

    def __init__(self, scorer: WordScorer, phrases: Iterable[tuple[Sequence[int], float]]):
        self.scorer = scorer
        nodes: list[dict[int, int]] = [{}]
        reward, pending = [0.0], [0.0]
        for words, weight in phrases:
            node = 0
            for depth, word in enumerate(words, 1):
                if word not in nodes[node]:
                    nodes[node][word] = len(nodes)
                    nodes.append({})
                    reward.append(0.0)
                    pending.append(0.0)
                node = nodes[node][word]
                if depth < len(words):
                    pending[node] = max(pending[node], weight * depth / len(words))
            reward[node] += weight
        fail = [0] * len(nodes)
        order = [0]
        for node in order:  # breadth first: a node's failure link is shorter than itself, so it is known already
            for word, child in nodes[node].items():
                back = fail[node]
                while node and back and word not in nodes[back]:
                    back = fail[back]
                fail[child] = nodes[back].get(word, 0) if node else 0
                # A phrase that ends inside a longer one counts as well, and its beginning may be worth more.
                reward[child] += reward[fail[child]]
                pending[child] = max(pending[child], pending[fail[child]])
                order.append(child)
        edges = sorted((node, word, child) for node, out in enumerate(nodes) for word, child in out.items())
        parents, followers, children = np.array(edges, dtype=np.int64).reshape(-1, 3).T
        self._stride = int(followers.max(initial=0)) + 1
        self._keys = np.append(parents * self._stride + followers, np.iinfo(np.int64).max)
        self._reward = np.append(np.array(reward)[children], 0.0)
        # A node that no phrase goes on from is the same as its failure link from now on.
        target = children.copy()
        leaf = np.array([not out for out in nodes])
        fail_array = np.array(fail)
        while (ends := leaf[target]).any():
            target[ends] = fail_array[target[ends]]
        self._target = np.append(target, 0)
        self._pending = np.where(leaf, 0.0, pending)
        self._fail = fail_array
        self._nodes = len(nodes)
        self.start = scorer.start * self._nodes
        self.contexts = scorer.contexts * self._nodes

    def _follow(self, nodes: Ints, words: Ints) -> tuple[Floats, Ints]:
        gain, after = np.zeros(len(nodes)), np.zeros(len(nodes), dtype=np.int64)
        todo, at = np.arange(len(nodes)), nodes
        # Words that no phrase has would look like edges of the next node.
        known = words < self._stride
        todo, at = todo[known], at[known]
        while todo.size:
            edge = self._keys.searchsorted(at * self._stride + words[todo])
            hit = self._keys[edge] == at * self._stride + words[todo]
            gain[todo[hit]], after[todo[hit]] = self._reward[edge[hit]], self._target[edge[hit]]
            more = ~hit & (at != 0)
            todo, at = todo[more], self._fail[at[more]]
        return gain + self._pending[after] - self._pending[nodes], after

    def score(self, contexts: Ints, words: Ints) -> tuple[Floats, Ints]:
        below, nodes = np.divmod(contexts, self._nodes)
        gain, below = self.scorer.score(below, words)
        boost, nodes = self._follow(nodes, words)
        return gain + boost, below * self._nodes + nodes

    def end(self, contexts: Ints) -> Floats:
        below, nodes = np.divmod(contexts, self._nodes)
        return self.scorer.end(below) - self._pending[nodes]

    def estimate(self) -> Floats:
        """As the scorer's, with the most that a phrase can give for each word."""
        estimate = self.scorer.estimate()
        node, word = np.divmod(self._keys[:-1], self._stride)
        most = np.zeros(len(estimate))
        np.maximum.at(most, word, self._reward[:-1] + self._pending[self._target[:-1]] - self._pending[node])
        return estimate + most
