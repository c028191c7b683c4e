"""Search for words of a lexicon: against enumeration of every path, and the laws of all searches."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_laws import check_times, head, log_probs_and_cuts, pieces, random_log_probs

from transducer.errors import UsageError
from transducer.search.tokens.lexicon import LexiconSearch, LexiconSearchConfig
from transducer.search.tokens.prefix_tree import PrefixTree
from transducer.search.tokens.word_scorer import LanguageModelScorer, PhraseBoost
from transducer.text.lm import ngram_train
from transducer.text.lm.ngram import SPECIAL

EXACT = LexiconSearchConfig(width=math.inf, size=10**9, token_width=math.inf, blank_skip=1.0, alternatives=math.inf)
WORDS = 4
Entries = list[tuple[int, tuple[int, ...]]]


class FullHistory:
    """A scorer that forgets nothing: every history is a context of its own, with random scores."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.histories: list[tuple[int, ...]] = [()]
        self.numbers: dict[tuple[int, ...], int] = {(): 0}
        self.gains: dict[tuple[int, ...], float] = {}
        self.start, self.contexts = 0, 10**6

    def gain(self, history: tuple[int, ...], word: int) -> float:
        return self.gains.setdefault((*history, word), float(self.rng.normal()) - 1)

    def score(self, contexts: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gains, after = [], []
        for context, word in zip(contexts.tolist(), words.tolist(), strict=True):
            history = self.histories[context]
            gains.append(self.gain(history, word))
            extended = (*history, word)
            if extended not in self.numbers:
                self.numbers[extended] = len(self.histories)
                self.histories.append(extended)
            after.append(self.numbers[extended])
        return np.array(gains), np.array(after, dtype=np.int64)

    def end(self, contexts: np.ndarray) -> np.ndarray:
        return np.array([self.gain(self.histories[context], 0) for context in contexts.tolist()])

    def estimate(self) -> np.ndarray:
        return np.full(WORDS + 1, -1.0)

    def total(self, words: tuple[int, ...]) -> float:
        return sum(self.gain(words[:i], word) for i, word in enumerate(words)) + self.gain(words, 0)


def random_entries(seed: int, silence: int = 0, tokens: int = 3, longest: int = 3) -> Entries:
    """Words with one or more token sequences; sequences may be shared, and be the beginning of others."""
    rng = np.random.default_rng(seed)
    found = set()
    for _ in range(int(rng.integers(2, 7))):
        sequence = tuple(rng.integers(1, tokens + 1, rng.integers(1, longest + 1)).tolist())
        found.add((int(rng.integers(1, WORDS + 1)), (*sequence, silence) if silence else sequence))
    return sorted(found)


def tree_of(entries: Entries) -> PrefixTree:
    longest = max(len(tokens) for _, tokens in entries)
    padded = np.array([[*tokens, *[0] * (longest - len(tokens))] for _, tokens in entries])
    return PrefixTree.build(np.array([word for word, _ in entries]), padded)


def every_parse(tokens: tuple[int, ...], entries: Entries, silence: int) -> list[tuple[int, ...]]:
    """All word sequences that a token sequence can be; the last word's closing silence may be missing."""
    if silence:
        groups = [tuple(group) for is_silence, group in itertools.groupby(tokens, silence.__eq__) if not is_silence]
        choices = [[word for word, sequence in entries if sequence[:-1] == group] for group in groups]
        return list(itertools.product(*choices))
    if not tokens:
        return [()]
    return [
        (word, *rest)
        for word, sequence in entries
        if tokens[: len(sequence)] == sequence
        for rest in every_parse(tokens[len(sequence) :], entries, silence)
    ]


def brute_force(
    log_probs: np.ndarray, entries: Entries, scorer: FullHistory, silence: int, sums: bool
) -> dict[tuple[int, ...], float]:
    """Word sequence -> score, over every path of tokens."""
    add = np.logaddexp if sums else max
    acoustic: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        tokens = tuple(token for token, _ in itertools.groupby(path) if token)
        log_p = sum(float(log_probs[frame, token]) for frame, token in enumerate(path))
        acoustic[tokens] = add(acoustic[tokens], log_p) if tokens in acoustic else log_p
    scores: dict[tuple[int, ...], float] = {}
    for tokens, log_p in acoustic.items():
        for words in every_parse(tokens, entries, silence):
            score = log_p + scorer.total(words)
            scores[words] = add(scores[words], score) if words in scores else score
    return scores


def replace(config: LexiconSearchConfig, **changes: object) -> LexiconSearchConfig:
    return LexiconSearchConfig(**{**vars(config), **changes})


@settings(max_examples=60)
@given(seed=st.integers(0, 2**16), sums=st.booleans(), spelled=st.booleans(), frames=st.integers(0, 4))
def test_a_wide_search_is_brute_force(seed: int, sums: bool, spelled: bool, frames: int) -> None:
    silence = 4 if spelled else 0
    entries, scorer = random_entries(seed, silence), FullHistory(seed)
    log_probs = random_log_probs(seed, frames, 5 if spelled else 4, 2.0)
    prior = random_log_probs(seed + 1, 1, log_probs.shape[1], 1.0)[0]
    config = replace(EXACT, sum_alignments=sums, prior_weight=0.5)
    search = LexiconSearch(tree_of(entries), scorer, {silence} - {0}, config, prior)
    found = search.nbest(search.finish(search.step(search.init(), log_probs)), 10**6)
    expected = brute_force(log_probs - 0.5 * prior, entries, scorer, silence, sums)
    assert {hypothesis.tokens for hypothesis in found} == set(expected)
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(expected[hypothesis.tokens], abs=1e-6)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    # No context is shared, so the confidence of the only word of a hypothesis is a sum over hypotheses.
    shares = np.exp([h.score / config.temperature for h in found])
    share_of = dict(zip([h.tokens for h in found], shares / shares.sum(), strict=True))
    for words, share in share_of.items():
        if len(words) == 1 and frames:
            hypothesis = next(h for h in found if h.tokens == words)
            assert hypothesis.confidences[0] >= share - 1e-9


def toy_lm(seed: int = 0, words: int = WORDS):
    rng = np.random.default_rng(seed)
    names = (*SPECIAL, *(f"w{i}" for i in range(1, words + 1)))
    sentences = [rng.integers(3, 3 + words, rng.integers(1, 7)).astype(np.int32) for _ in range(80)]
    return ngram_train.export(ngram_train.kneser_ney(ngram_train.count([sentences], len(names), 3), 0), names)


LM = toy_lm()
IDS = np.array([0, *range(3, 3 + WORDS)])
ENTRIES: Entries = [(1, (1,)), (1, (1, 2)), (2, (2, 1)), (2, (2, 3)), (3, (3, 1, 2)), (4, (3,)), (4, (2, 1))]


def toy_search(config: LexiconSearchConfig = EXACT, spelled: bool = False, **options: float) -> LexiconSearch:
    entries = [(word, (*tokens, 4)) for word, tokens in ENTRIES] if spelled else ENTRIES
    scorer = LanguageModelScorer(LM, IDS, options.pop("weight", 1.0), **options)
    return LexiconSearch(tree_of(entries), scorer, {4} if spelled else (), config)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**16), frames=st.integers(1, 5))
def test_viterbi_with_shared_contexts_finds_the_best_of_all(seed: int, frames: int) -> None:
    log_probs = random_log_probs(seed, frames, 4, 2.0)
    search = toy_search(replace(EXACT, sum_alignments=False), bonus=0.3)

    class Scorer(FullHistory):
        def total(self, words: tuple[int, ...]) -> float:
            log_p = LM.log_probs([f"w{word}" for word in words])
            return float(log_p[:-1].sum() + 0.5 * log_p[-1] + 0.3 * len(words))

    expected = brute_force(log_probs, ENTRIES, Scorer(0), 0, sums=False)
    found = search.nbest(search.finish(search.step(search.init(), log_probs)), 50)
    assert found[0].score == pytest.approx(max(expected.values()), abs=1e-6)
    assert expected[found[0].tokens] == pytest.approx(found[0].score, abs=1e-6)
    for hypothesis in found:  # what else is in the lattice is a path as well, though perhaps not its words' best one
        assert hypothesis.score <= expected[hypothesis.tokens] + 1e-6


NARROW = LexiconSearchConfig(width=8.0, size=12, token_width=6.0, blank_skip=0.9)


@settings(max_examples=40)
@given(data=log_probs_and_cuts(max_frames=60), wide=st.booleans(), spelled=st.booleans())
def test_cutting_changes_nothing_and_a_stable_prefix_never_retracts(data, wide: bool, spelled: bool) -> None:
    frames, cuts = data
    config = replace(EXACT, size=60) if wide else NARROW
    search = toy_search(config, spelled)
    whole = search.step(search.init(), frames)
    state, promise = search.init(), ((), (), (), ())
    for piece in pieces(frames, cuts):
        before = search.nbest(state, 8)
        new = search.step(state, piece)
        assert search.nbest(state, 8) == before
        copy = search.step(pickle.loads(pickle.dumps(state)), piece)
        assert search.nbest(copy, 8) == search.nbest(new, 8)
        state = new
        count = len(promise[0])
        for hypothesis in [*search.nbest(state, 8), search.best(search.finish(state))]:
            assert head(hypothesis, count) == promise
            check_times(hypothesis, 10**9)
        assert search.stable(state) >= count
        promise = head(search.best(state), search.stable(state))
        end, best = search.speech_end(state), search.best(state)
        assert (end or 0) >= (best.ends[-1] if best.tokens else 0)
    assert search.nbest(state, 8) == search.nbest(whole, 8)
    assert search.stable(state) == search.stable(whole)
    check_times(search.best(search.finish(whole)), len(frames))


def path(tokens: list[int], vocabulary: int = 5, log_p: float = -0.01) -> np.ndarray:
    """(T, V) frames on which these tokens are nearly certain."""
    result = np.full((len(tokens), vocabulary), math.log((1 - math.exp(log_p)) / (vocabulary - 1)), dtype=np.float32)
    result[np.arange(len(tokens)), tokens] = log_p
    return result


def test_words_have_the_times_of_their_tokens() -> None:
    search = toy_search(NARROW)
    state = search.finish(search.step(search.init(), path([0, 0, 3, 1, 0, 2, 2, 0, 0, 0, 2, 3, 3, 0])))
    best = search.best(state)
    assert best.tokens == (3, 2)
    assert (best.frames, best.ends) == ((2, 10), (6, 12))
    assert search.speech_end(state) == 13  # the last token goes on after the frame on which the word was found
    spelled = toy_search(NARROW, spelled=True)
    state = spelled.step(spelled.init(), path([4, 0, 3, 1, 2, 0, 4, 4, 0, 4, 2, 3, 0, 0]))
    assert spelled.best(state).tokens == (3, 2)  # though the space after the second has not come
    assert spelled.best(state) != spelled.best(spelled.finish(state))  # whose score has the end in it
    best = spelled.best(spelled.finish(state))
    assert (best.tokens, best.frames, best.ends) == ((3, 2), (2, 10), (5, 12))


def test_a_word_in_progress_is_left_out_but_is_speech() -> None:
    search = LexiconSearch(tree_of([(1, (1, 2)), (2, (3, 1, 2))]), LanguageModelScorer(LM, IDS[:3], 1.0), config=NARROW)
    state = search.step(search.init(), path([0, 1, 2, 0, 0, 3, 1]))
    assert search.best(state).tokens == (1,)
    assert search.speech_end(state) == 7
    assert search.best(search.finish(state)).tokens == (1,)
    assert search.speech_end(search.init()) is None


def test_memory_stays_bounded_and_words_become_stable() -> None:
    search = toy_search(NARROW)
    state = search.init()
    rows, frames = [], path([0, 1, 0, 0, 2, 1, 0, 3, 1, 2, 0, 0])
    for _ in range(100):
        state = search.step(state, frames)
        rows.append(len(state.trace.links))
    assert max(rows[50:]) <= 4 * max(rows[:10])
    assert search.stable(state) > 200
    assert len(search.best(state).tokens) - search.stable(state) < 20


def test_skipping_blanks_costs_nothing_where_they_are_certain() -> None:
    blanks = path([0] * 5, 4, -1e-6)
    frames = np.concatenate([part for i in range(9) for part in (random_log_probs(i, 3, 4, 2.0), blanks)])
    slow, fast = (toy_search(replace(EXACT, size=100, blank_skip=skip)) for skip in (1.0, 0.999))
    a, b = (search.best(search.step(search.init(), frames)) for search in (slow, fast))
    assert (a.tokens, a.frames) == (b.tokens, b.frames)
    assert a.score == pytest.approx(b.score, abs=1e-3)


def test_certain_words_are_confident_and_toss_ups_are_not() -> None:
    scorer = LanguageModelScorer(LM, np.array([0, 3, 3, 4]), 1.0)  # words 1 and 2 are the same to the language model
    search = LexiconSearch(tree_of([(1, (1,)), (2, (2,)), (3, (3,))]), scorer, config=LexiconSearchConfig())
    clear = search.best(search.finish(search.step(search.init(), path([0, 1, 0, 0, 3, 0], 4, -1e-4))))
    assert clear.tokens == (1, 3)
    assert min(clear.confidences) > 0.95
    frames = path([0, 1, 0, 0, 3, 0], 4, -1e-4)
    frames[1, 1], frames[1, 2] = math.log(0.52), math.log(0.48)
    torn = search.best(search.finish(search.step(search.init(), frames)))
    assert torn.tokens == (1, 3)
    assert 0.45 < torn.confidences[0] < 0.6
    assert torn.confidences[1] > 0.95
    assert [h.tokens for h in search.nbest(search.finish(search.step(search.init(), frames)), 2)] == [(1, 3), (2, 3)]


class NoContext:
    """A scorer without an opinion."""

    start, contexts = 0, 1

    def score(self, contexts: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(words)), np.zeros(len(words), dtype=np.int64)

    def end(self, contexts: np.ndarray) -> np.ndarray:
        return np.zeros(len(contexts))

    def estimate(self) -> np.ndarray:
        return np.zeros(WORDS + 1)


phrase_lists = st.lists(
    st.tuples(st.lists(st.integers(1, WORDS), min_size=1, max_size=3), st.integers(-8, 8).map(float)), max_size=5
)


@given(phrases=phrase_lists, words=st.lists(st.integers(1, WORDS), max_size=9))
def test_every_occurrence_of_a_phrase_is_worth_its_weight(phrases, words: list[int]) -> None:
    boost = PhraseBoost(NoContext(), phrases)
    total, context = 0.0, np.array([boost.start])
    for word in words:
        gain, context = boost.score(context, np.array([word]))
        assert 0 <= context[0] < boost.contexts
        total += gain[0]
    total += boost.end(context)[0]
    expected = sum(
        weight
        for phrase, weight in phrases
        for i in range(len(words) - len(phrase) + 1)
        if words[i : i + len(phrase)] == phrase
    )
    assert total == pytest.approx(expected, abs=1e-9)


def test_a_phrase_lifts_its_words_from_the_first_on() -> None:
    boost = PhraseBoost(NoContext(), [((1, 2, 3), 6.0)])
    gains, context = [], np.array([boost.start])
    for word in (1, 2, 4):
        gain, context = boost.score(context, np.array([word]))
        gains.append(gain[0])
    assert gains == [2.0, 2.0, -4.0]
    assert boost.estimate().tolist() == [0.0, 2.0, 2.0, 2.0, 0.0]


def test_hotwords_lift_their_word_and_leave_the_others() -> None:
    frames = path([0, 1, 0, 0, 2, 3, 0, 0, 1, 0])  # the second word may be 2 or 4, which sound the same
    tree, scorer = tree_of([(1, (1,)), (2, (2, 3)), (4, (2, 3)), (3, (3, 1))]), LanguageModelScorer(LM, IDS, 1.0)
    for word in (2, 4):
        search = LexiconSearch(tree, PhraseBoost(scorer, [((word,), 4.0)]))
        best = search.best(search.finish(search.step(search.init(), frames)))
        assert best.tokens == (1, word, 1)


@pytest.mark.parametrize("changes", [{"size": 0}, {"width": 0.0}, {"temperature": 0.0}])
def test_limits_that_make_no_sense_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        replace(EXACT, **changes)


@given(seed=st.integers(0, 2**16))
def test_the_tree_is_that_of_all_prefixes(seed: int) -> None:
    entries = random_entries(seed, longest=5)
    tree = tree_of(entries)
    spelled = [()]
    for node in range(1, len(tree.token)):
        spelled.append((*spelled[tree.parent[node]], int(tree.token[node])))
    assert len(set(spelled)) == len(spelled)
    assert set(spelled) == {tokens[:n] for _, tokens in entries for n in range(len(tokens) + 1)}
    scores = np.random.default_rng(seed).normal(size=WORDS + 1)
    best = tree.best_below(scores)
    for node, prefix in enumerate(spelled):
        which, child = tree.below(np.array([node]))
        assert (child - 1).tolist() == np.flatnonzero(tree.parent[1:] == node).tolist()
        assert not which.any()
        assert sorted(tree.ending(np.array([node]))[1].tolist()) == sorted(w for w, t in entries if t == prefix)
        assert best[node] == max(scores[w] for w, t in entries if t[: len(prefix)] == prefix)


def test_a_word_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="tokens"):
        PrefixTree.build(np.array([1, 2]), np.array([[1, 2], [0, 0]]))
