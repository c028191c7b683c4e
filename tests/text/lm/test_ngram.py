"""The word n-gram model against formulas written out with dictionaries."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from transducer.errors import CheckpointError
from transducer.text.lm import ngram_train
from transducer.text.lm.ngram import BOS, EOS, SPECIAL, UNK, Level, NGram

WORDS = (*SPECIAL, "a", "b", "c", "d", "e")
V = len(WORDS)
Corpus = list[np.ndarray]


def corpus(seed: int, sentences: int = 60) -> Corpus:
    """Random sentences in which some words like to follow others; empty ones are among them."""
    rng = np.random.default_rng(seed)
    follow = rng.dirichlet(np.full(V - 3, 0.4), size=V)
    result = []
    for length in rng.integers(0, 9, sentences):
        words, last = [], BOS
        for _ in range(length):
            last = UNK if rng.random() < 0.05 else 3 + int(rng.choice(V - 3, p=follow[last]))
            words.append(last)
        result.append(np.array(words, dtype=np.int32))
    return result


def raw_counts(sentences: Corpus, order: int) -> list[Counter[tuple[int, ...]]]:
    """Counter of n-grams for n = 1 to order."""
    counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        words = [BOS, *sentence.tolist(), EOS]
        for end in range(1, len(words)):
            for n in range(1, min(order, end + 1) + 1):
                counts[n - 1][tuple(words[end + 1 - n : end + 1])] += 1
    return counts


class NaiveKneserNey:
    """Chen & Goodman 1999, interpolated, with dictionaries."""

    def __init__(self, sentences: Corpus, order: int):
        raw = raw_counts(sentences, order)
        self.counts: list[dict[tuple[int, ...], int]] = []
        for n in range(1, order + 1):
            if n == order:
                self.counts.append(dict(raw[n - 1]))
                continue
            before: dict[tuple[int, ...], set[int]] = defaultdict(set)
            for gram in raw[n]:
                before[gram[1:]].add(gram[0])
            # What begins with <s> has nothing before it: its own count stands in.
            self.counts.append({g: raw[n - 1][g] if g[0] == BOS else len(before[g]) for g in raw[n - 1]})
        self.discounts = [self._discounts(list(counts.values())) for counts in self.counts]

    @staticmethod
    def _discounts(counts: list[int]) -> list[float]:
        n1, n2, n3, n4 = (counts.count(k) for k in (1, 2, 3, 4))
        if not n1 * n2 * n3 * n4:
            return [0.0, 0.5, 0.75, 0.9]
        y = n1 / (n1 + 2 * n2)
        plain = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        return [0.0, *(min(max(d, 0.05), 0.95 * k) for k, d in enumerate(plain, start=1))]

    def p(self, history: tuple[int, ...], word: int) -> float:
        n = len(history)
        counts = {g[-1]: c for g, c in self.counts[n].items() if g[:-1] == history}
        lower = self.p(history[1:], word) if n else 1 / (V - 1)
        if not counts:
            return lower
        taken = {w: self.discounts[n][min(c, 3)] for w, c in counts.items()}
        total = sum(counts.values())
        own = max(counts.get(word, 0) - taken.get(word, 0.0), 0.0) / total
        return own + sum(taken.values()) / total * lower


def histories(order: int) -> list[tuple[int, ...]]:
    """Every history that can be: words, perhaps after <s>, as long as they matter."""
    words = [UNK, *range(3, V)]
    found = [()]
    for n in range(1, order):
        found += list(itertools.product([BOS, *words], *[words] * (n - 1)))
    return found


def state_of(lm: NGram, history: tuple[int, ...]) -> np.ndarray:
    state = np.array([lm.start if history[:1] == (BOS,) else 0])
    for word in history[1:] if history[:1] == (BOS,) else history:
        state = lm.score(state, np.array([word]))[1]
    return state


def distribution(lm: NGram, history: tuple[int, ...]) -> np.ndarray:
    """(V,) p(word | history)."""
    state = np.repeat(state_of(lm, history), V)
    return np.exp(lm.score(state, np.arange(V))[0])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_counts_are_those_of_a_counter(order: int) -> None:
    corpora = [corpus(1), corpus(2, 20)]
    tables = ngram_train.count(corpora, V, order)
    for k, sentences in enumerate(corpora):
        rows: list[list[tuple[int, ...]]] = [[()]]
        for n, (table, expected) in enumerate(zip(tables, raw_counts(sentences, order), strict=True)):
            grams = [(*rows[-1][c], w) for c, w in zip(table.context.tolist(), table.word.tolist(), strict=True)]
            found = {gram: c for gram, c in zip(grams, table.counts[k].tolist(), strict=True) if c}
            assert found == dict(expected)
            assert grams == sorted(grams)
            if n:
                assert [rows[-1][s] for s in table.suffix] == [gram[1:] for gram in grams]
            rows.append(grams)


@pytest.mark.parametrize(("order", "seed"), [(1, 0), (2, 1), (3, 2), (3, 3), (4, 4)])
def test_kneser_ney_is_the_formula(order: int, seed: int) -> None:
    sentences = corpus(seed, 120)
    lm = ngram_train.export(ngram_train.kneser_ney(ngram_train.count([sentences], V, order), 0), WORDS)
    naive = NaiveKneserNey(sentences, order)
    for history in histories(order):
        found = distribution(lm, history)
        expected = [0.0 if word == BOS else naive.p(history, word) for word in range(V)]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_corpus_in_tables_of_two_is_as_alone() -> None:
    first, second = corpus(5), corpus(6)
    alone = ngram_train.export(ngram_train.kneser_ney(ngram_train.count([first], V, 3), 0), WORDS)
    beside = ngram_train.export(ngram_train.kneser_ney(ngram_train.count([first, second], V, 3), 0), WORDS)
    for history in histories(3):
        np.testing.assert_allclose(distribution(beside, history), distribution(alone, history), atol=1e-6)


def mixed(weights: tuple[float, float], order: int = 3) -> tuple[ngram_train.Model, list[ngram_train.Model]]:
    tables = ngram_train.count([corpus(7, 80), corpus(8, 200)], V, order)
    models = [ngram_train.kneser_ney(tables, k) for k in range(2)]
    return ngram_train.mix(models, weights), models


def test_a_mixture_is_linear_where_an_ngram_is_listed() -> None:
    mixture, models = mixed((0.3, 0.7))
    for n, table in enumerate(mixture.tables):
        assert len(mixture.p[n]) == len(table)
        np.testing.assert_allclose(mixture.p[n], 0.3 * models[0].p[n] + 0.7 * models[1].p[n], rtol=1e-12)
    only = ngram_train.export(mixed((1.0, 0.0))[0], WORDS)
    for history in histories(3):
        np.testing.assert_allclose(
            distribution(only, history), distribution(ngram_train.export(models[0], WORDS), history), atol=1e-6
        )


@pytest.mark.parametrize("threshold", [0.0, 1e-4, 1e-3, 1e-2, 1.0])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_every_context_sums_to_one_after_mixing_and_pruning(order: int, threshold: float) -> None:
    model = ngram_train.prune(mixed((0.4, 0.6), order)[0], threshold, (0.4, 0.6), (1, 2))
    lm = ngram_train.export(model, WORDS)
    for history in histories(order):
        assert distribution(lm, history).sum() == pytest.approx(1, abs=1e-5)
    for n in range(1, order - 1):  # the contexts of what is kept are kept
        assert model.keep[n][model.tables[n + 1].context[model.keep[n + 1]]].all()


def test_pruning_drops_what_changes_the_distribution_least() -> None:
    weights = (0.4, 0.6)
    model, _ = mixed(weights)
    table, parent = model.tables[2], model.tables[1]
    shares = [
        w * np.bincount(table.context, weights=table.counts[k], minlength=len(parent)) / model.tables[0].counts[k].sum()
        for k, w in enumerate(weights)
    ]
    probability_of_context = sum(shares)
    losses = []
    for row in range(len(table)):
        keep = [k.copy() for k in model.keep]
        keep[2][row] = False
        without = ngram_train.renormalise(ngram_train.Model(model.tables, model.p, model.backoff, keep))
        before, after = ngram_train.export(model, WORDS), ngram_train.export(without, WORDS)
        context = table.context[row]
        history = (int(parent.context[context]), int(parent.word[context]))
        p, q = distribution(before, history), distribution(after, history)
        some = p > 0
        losses.append(probability_of_context[context] * float(np.sum(p[some] * np.log(p[some] / q[some]))))
    threshold = float(np.median(losses))
    clear = np.abs(np.array(losses) - threshold) > 1e-7  # float32 rounds the rest to either side
    kept = ngram_train.prune(model, threshold, weights).keep[2]
    np.testing.assert_array_equal(kept[clear], np.array(losses)[clear] >= threshold)


def naive_log_p(levels: tuple[Level, ...], history: tuple[int, ...], word: int) -> float:
    """Back-off, written as the definition."""
    grams: list[dict[tuple[int, ...], tuple[float, float]]] = []
    rows: list[tuple[int, ...]] = [()]
    for level in levels:
        listed = [(*rows[c], w) for c, w in zip(level.context.tolist(), level.word.tolist(), strict=True)]
        backoff = level.log_backoff if len(level.log_backoff) else np.zeros(len(listed))
        grams.append(dict(zip(listed, zip(level.log_p.tolist(), backoff.tolist(), strict=True), strict=True)))
        rows = listed
    history = history[-(len(levels) - 1) :] if len(levels) > 1 else ()
    total = 0.0
    while True:
        found = grams[len(history)].get((*history, word))
        if found is not None:
            return total + found[0]
        if history in grams[len(history) - 1]:
            total += grams[len(history) - 1][history][1]
        history = history[1:]


@pytest.mark.parametrize("order", [2, 3, 4])
def test_scores_are_those_of_the_definition_and_states_forget_nothing_that_matters(order: int) -> None:
    lm = ngram_train.export(ngram_train.prune(mixed((0.5, 0.5), order)[0], 1e-3, (0.5, 0.5)), WORDS)
    rng = np.random.default_rng(0)
    for _ in range(100):
        history, state = (BOS,), np.array([lm.start])
        for word in rng.integers(3, V, 6).tolist():
            log_p, after = lm.score(state, np.array([word]))
            assert log_p[0] == pytest.approx(naive_log_p(lm.levels, history, word), abs=1e-5)
            history, state = (*history, word), after
            assert 0 <= state[0] < lm.states


def test_many_words_are_scored_as_one_by_one() -> None:
    lm = ngram_train.export(mixed((0.5, 0.5))[0], WORDS)
    rng = np.random.default_rng(1)
    states, words = rng.integers(0, lm.states, 500), rng.integers(0, V, 500)
    given = states.copy()
    log_p, after = lm.score(states, words)
    np.testing.assert_array_equal(states, given)
    for i in range(500):
        one_log_p, one_after = lm.score(states[i : i + 1], words[i : i + 1])
        assert (one_log_p[0], one_after[0]) == (log_p[i], after[i])
    assert len(lm.score(states[:0], words[:0])[0]) == 0


def test_perplexity_is_over_known_words_and_ends() -> None:
    lm = ngram_train.export(mixed((0.5, 0.5))[0], WORDS)
    sentences = [["a", "b", "zebra"], []]
    kept = [*lm.log_probs(sentences[0])[[0, 1, 3]], *lm.log_probs([])]
    perplexity, unknown = lm.perplexity(sentences)
    assert perplexity == pytest.approx(math.exp(-np.mean(kept)))
    assert unknown == pytest.approx(1 / 5)


def test_a_file_keeps_the_model_but_for_rounding(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    words = (*SPECIAL, *(f"w{i}" for i in range(1000)))
    sentences = [3 + (1000 * rng.random(12) ** 3).astype(np.int32) for _ in range(1500)]
    lm = ngram_train.export(ngram_train.kneser_ney(ngram_train.count([sentences], len(words), 3), 0), words)
    lm.save(tmp_path / "words.ngram")
    loaded = NGram.load(tmp_path / "words.ngram")
    assert loaded.words == lm.words
    for level, other in zip(lm.levels, loaded.levels, strict=True):
        np.testing.assert_array_equal(level.key, other.key)
        # 254 bins of equal width between the least and the greatest.
        plain = level.log_p[level.log_p > -99]
        np.testing.assert_allclose(level.log_p, other.log_p, atol=float(np.ptp(plain)) / 250)
        np.testing.assert_array_equal(level.log_backoff == 0, other.log_backoff == 0)
    test = [[words[i] for i in sentence] for sentence in sentences[:60]]
    assert loaded.perplexity(test)[0] == pytest.approx(lm.perplexity(test)[0], rel=0.01)
    again = tmp_path / "again.ngram"
    loaded.save(again)
    assert NGram.load(again).perplexity(test)[0] == pytest.approx(loaded.perplexity(test)[0], rel=0.005)


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    lm = ngram_train.export(mixed((0.5, 0.5))[0], WORDS)
    path = tmp_path / "words.ngram"
    lm.save(path)
    data = path.read_bytes()
    for size in range(0, len(data), 37):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match=r"words\.ngram"):
            NGram.load(path)
    with pytest.raises(CheckpointError, match="cannot read"):
        NGram.load(tmp_path / "missing")


def test_a_vocabulary_begins_with_the_special_words() -> None:
    with pytest.raises(ValueError, match="<unk>"):
        NGram(("a", "b", "c"), ())
