"""Train a word n-gram language model: modified Kneser-Ney, mixed over corpora, pruned by relative entropy.

Everything is a numpy array over one table of n-grams per order. A row of order n knows its context (the
row of its first n-1 words), its suffix (the row of its last n-1 words), its last word and its count in
each corpus; so smoothing, mixing and pruning are a few vector operations per order.

Sources:
    S. F. Chen, J. Goodman, "An empirical study of smoothing techniques for language modeling", 1999
        (modified Kneser-Ney: eq. 26-27 and the discounts of section 2.8 there)
    A. Stolcke, "Entropy-based pruning of backoff language models", 1998 (eq. 3-4)
    C. Chelba et al., "Study on interaction between entropy pruning and Kneser-Ney smoothing", 2010 (why the
        probability of a context is taken from its raw counts, not from the smoothed model)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from transducer.text.lm.ngram import BOS, EOS, IMPOSSIBLE, Level, NGram, keys

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


@dataclass
class Table:
    """All n-grams of one order; rows sorted by (context, word). Order 1 has one row per word, in id order.

    Attributes:
        context: (N,) row of the first n-1 words in the table of order n-1 (0 for order 1).
        word: (N,) id of the last word.
        suffix: (N,) row of the last n-1 words in the table of order n-1 (0 for order 1).
        counts: (K, N) occurrences in each of K corpora.
        starts: (N,) whether the n-gram begins with `<s>`, so that nothing can precede it.
    """

    context: Ints
    word: Ints
    suffix: Ints
    counts: Ints
    starts: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.word)


@dataclass
class Model:
    """Probabilities over tables: `p[n]` of each row of order n+1, `backoff[n]` of each row as a context,
    `keep[n]` which rows the model lists; the others have their back-off probability in `p`."""

    tables: list[Table]
    p: list[Floats]
    backoff: list[Floats]
    keep: list[NDArray[np.bool_]] = field(default_factory=list)


def count(corpora: Sequence[Sequence[Ints]], vocabulary: int, order: int) -> list[Table]:
    """Count the n-grams of up to `order` words in K corpora.

    Args:
        corpora: each a sequence of sentences, each an array of word ids without `<s>` and `</s>`, which are
            added here; n-grams don't cross sentences.
        vocabulary: number of word ids.
        order: longest n-gram.

    Returns:
        One table per order, aligned over all corpora.
    """
    words, sentence_position, corpus = _concatenate(corpora)
    tables = []
    previous: Ints = np.zeros(len(words) + 1, dtype=np.int32)  # rows of the (n-1)-grams that end at each position
    last = None
    for n in range(1, order + 1):
        valid = np.flatnonzero(sentence_position >= max(n - 1, 1)).astype(np.int32)
        if n == 1:
            table, rows = _unigrams(words, corpus, valid, vocabulary, len(corpora))
            row_of = words.copy()
        else:
            key = previous[valid - 1].astype(np.int64) * vocabulary + words[valid]
            unique, first, rows = np.unique(key, return_index=True, return_inverse=True)
            where = valid[first]
            counts = np.stack(
                [np.bincount(rows[corpus[valid] == k], minlength=len(unique)) for k in range(len(corpora))]
            ).astype(np.int32)
            assert last is not None
            context = (unique // vocabulary).astype(np.int32)
            starts = context == BOS if n == 2 else last.starts[context]
            table = Table(context, (unique % vocabulary).astype(np.int32), previous[where], counts, starts)
            row_of = np.full(len(words), -1, dtype=np.int32)
            row_of[valid] = rows
        tables.append(table)
        previous, last = row_of, table
    return tables


def _concatenate(corpora: Sequence[Sequence[Ints]]) -> tuple[Ints, Ints, NDArray[np.int8]]:
    """All words with `<s>` and `</s>`, each one's position in its sentence, and its corpus."""
    sentences = [sentence for corpus in corpora for sentence in corpus]
    lengths = np.array([len(s) for s in sentences], dtype=np.int64) + 2
    begin = np.concatenate([[0], np.cumsum(lengths)])
    words = np.empty(begin[-1], dtype=np.int32)
    inner = np.ones(begin[-1], dtype=bool)
    words[begin[:-1]], words[begin[1:] - 1] = BOS, EOS
    inner[begin[:-1]] = inner[begin[1:] - 1] = False
    words[inner] = np.concatenate(sentences) if sentences else []
    position = (np.arange(begin[-1]) - np.repeat(begin[:-1], lengths)).astype(np.int32)
    sizes = [sum(len(s) + 2 for s in corpus) for corpus in corpora]
    return words, position, np.repeat(np.arange(len(corpora), dtype=np.int8), sizes)


def _unigrams(words: Ints, corpus: NDArray[np.int8], valid: Ints, vocabulary: int, corpora: int) -> tuple[Table, Ints]:
    rows = words[valid]
    counts = np.stack([np.bincount(rows[corpus[valid] == k], minlength=vocabulary) for k in range(corpora)])
    zeros = np.zeros(vocabulary, dtype=np.int32)
    ids = np.arange(vocabulary, dtype=np.int32)
    return Table(zeros, ids, zeros, counts.astype(np.int32), ids == BOS), rows


def kneser_ney(tables: list[Table], corpus: int) -> Model:
    """Interpolated modified Kneser-Ney from the counts of one corpus, for every row of the tables.

    Rows that this corpus does not have get their back-off probability, so that models of different corpora
    over the same tables mix row by row.
    """
    p: list[Floats] = []
    backoff: list[Floats] = []
    lower = np.full(1, 1.0 / (len(tables[0]) - 1))  # uniform; <s> is never predicted
    for n, table in enumerate(tables):
        if n + 1 < len(tables):
            above = tables[n + 1]
            seen = above.counts[corpus] > 0
            kinds = np.bincount(above.suffix[seen], minlength=len(table)).astype(np.int32)
            c = np.where(table.starts, table.counts[corpus], kinds)
        else:
            c = table.counts[corpus]
        discount = _discounts(c)
        contexts = len(tables[n - 1]) if n else 1
        total = np.bincount(table.context, weights=c, minlength=contexts)
        taken = np.bincount(table.context, weights=discount[np.minimum(c, 3)], minlength=contexts)
        gamma = np.divide(taken, total, out=np.ones(contexts), where=total > 0)
        inverse = np.divide(1.0, total, out=np.zeros(contexts), where=total > 0)
        p_n = (c - discount[np.minimum(c, 3)]) * inverse[table.context]
        p_n += gamma[table.context] * lower[table.suffix]
        if n == 0:
            p_n[BOS] = 0.0
        else:
            backoff.append(gamma)
        p.append(p_n)
        lower = p_n
    backoff.append(np.ones(len(tables[-1])))
    return Model(tables, p, backoff, [np.ones(len(t), dtype=bool) for t in tables])


def _discounts(c: Ints) -> Floats:
    """D(c) for c = 0, 1, 2, 3+ (Chen & Goodman, section 2.8); plain 0.5 steps where the corpus is too small."""
    n1, n2, n3, n4 = (float(np.count_nonzero(c == k)) for k in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return np.array([0.0, 0.5, 0.75, 0.9])
    y = n1 / (n1 + 2 * n2)
    d = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return np.clip(d, [0.0, 0.05, 0.05, 0.05], [0.0, 0.95, 1.9, 2.85])


def mix(models: Sequence[Model], weights: Sequence[float]) -> Model:
    """Linear interpolation of models over the same tables; back-off weights are made to normalise again."""
    tables = models[0].tables
    weights = np.array(weights) / np.sum(weights)
    p = [sum(w * m.p[n] for w, m in zip(weights, models, strict=True)) for n in range(len(tables))]
    return renormalise(
        Model(
            tables,
            cast("list[NDArray[np.float64]]", p),
            [np.ones(len(t)) for t in tables],
            [np.ones(len(t), dtype=bool) for t in tables],
        )
    )


def renormalise(model: Model) -> Model:
    """The same listed probabilities, with back-off weights for which every context sums to 1."""
    effective = _effective(model)
    return Model(model.tables, effective[0], effective[1], model.keep)


def _effective(model: Model) -> tuple[list[Floats], list[Floats]]:
    """What the model gives each row (listed: its p; else by back-off), and the normalising back-off weights."""
    tables = model.tables
    q = [model.p[0]]
    backoff = []
    for n in range(1, len(tables)):
        table, keep = tables[n], model.keep[n]
        weight = _backoff_weights(table, keep, model.p[n], q[n - 1], len(tables[n - 1]))
        q.append(np.where(keep, model.p[n], weight[table.context] * q[n - 1][table.suffix]))
        backoff.append(weight)
    backoff.append(np.ones(len(tables[-1])))
    return q, backoff


def _backoff_weights(table: Table, keep: NDArray[np.bool_], p: Floats, lower: Floats, contexts: int) -> Floats:
    context = table.context[keep]
    left = 1.0 - np.bincount(context, weights=p[keep], minlength=contexts)
    left_lower = 1.0 - np.bincount(context, weights=lower[table.suffix[keep]], minlength=contexts)
    # A context that lists (nearly) the whole vocabulary leaves nothing to back off to: rounding decides there.
    return np.maximum(left, 1e-9) / np.maximum(left_lower, 1e-9)


def prune(model: Model, threshold: float, weights: Sequence[float], cutoffs: Sequence[int] = ()) -> Model:
    """Drop the n-grams whose loss changes the model least (relative entropy, Stolcke 1998).

    Args:
        model: its listed n-grams are candidates, longest first; one that is the context of a listed n-gram stays.
        threshold: an n-gram goes when the relative entropy that its loss costs is below this.
        weights: of the corpora in the probability of a context (relative frequency in each).
        cutoffs: for orders 2, 3, ...: n-grams with a total count below this go first.

    Returns:
        A model over the same tables with fewer rows kept; its contexts sum to 1.
    """
    tables = model.tables
    totals = tables[0].counts.sum(axis=1).astype(np.float64)
    keep = [k.copy() for k in model.keep]
    for n in range(len(tables) - 1, 0, -1):
        table, parent = tables[n], tables[n - 1]
        needed = np.zeros(len(table), dtype=bool)
        if n + 1 < len(tables):
            needed[tables[n + 1].context[keep[n + 1]]] = True
        if n - 1 < len(cutoffs):
            keep[n] &= needed | (table.counts.sum(axis=0) >= cutoffs[n - 1])
        context = table.context
        history = np.zeros(len(parent))
        for k, weight in enumerate(np.array(weights) / np.sum(weights)):
            history += weight * np.bincount(context, weights=table.counts[k], minlength=len(parent)) / totals[k]
        kept = np.flatnonzero(keep[n])
        c = context[kept]
        p, lower = model.p[n][kept], model.p[n - 1][table.suffix[kept]]
        left = np.maximum(1.0 - np.bincount(c, weights=p, minlength=len(parent)), 1e-9)[c]
        left_lower = np.maximum(1.0 - np.bincount(c, weights=lower, minlength=len(parent)), 1e-9)[c]
        old, new = np.log(left / left_lower), np.log((left + p) / (left_lower + lower))
        loss = -history[c] * (p * (np.log(lower) + new - np.log(p)) + left * (new - old))
        keep[n][kept] = needed[kept] | (loss >= threshold)
    return renormalise(Model(tables, model.p, model.backoff, keep))


def export(model: Model, words: Sequence[str]) -> NGram:
    """The kept rows as an `NGram`."""
    levels = []
    renumber = np.arange(len(model.tables[0]), dtype=np.int64)
    for n, table in enumerate(model.tables):
        keep = model.keep[n]
        with np.errstate(divide="ignore"):
            log_p = np.maximum(np.log(model.p[n][keep]), IMPOSSIBLE).astype(np.float32)
        log_backoff = np.zeros(0, dtype=np.float32)
        if n + 1 < len(model.tables):
            has_children = np.zeros(len(table), dtype=bool)
            has_children[model.tables[n + 1].context[model.keep[n + 1]]] = True
            log_backoff = np.where(has_children, np.log(model.backoff[n]), 0.0).astype(np.float32)[keep]
        context = renumber[table.context[keep]] if n else np.zeros(keep.sum(), dtype=np.int64)
        levels.append(Level(keys(context, table.word[keep]), log_p, log_backoff))
        renumber = np.cumsum(keep) - 1
    while len(levels) > 1 and not len(levels[-1].key):
        levels.pop()
    return NGram(words, levels)
