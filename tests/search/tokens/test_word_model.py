"""Search for the words of a lexicon: against enumeration, however it is cut, and with phrases to be expected."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transducer.errors import CheckpointError, UsageError
from transducer.search.hotwords import Hotword
from transducer.search.tokens.lexicon import LexiconSearch, LexiconSearchConfig
from transducer.search.tokens.prefix_tree import PrefixTree
from transducer.search.tokens.word_model import WordModel, WordModelConfig
from transducer.text.english.lexicon import Lexicon
from transducer.text.lm import ngram_train
from transducer.text.lm.ngram import SPECIAL, NGram
from transducer.text.tokenizers.characters import Characters

WORDS = (*SPECIAL, "a", "an", "ant", "tan", "nat")
SENTENCES = ["an ant", "a tan ant", "an ant a nat", "tan an ant", "nat a nat", "a tan"]


class RandomScorer:
    """Every history is a context of its own, and every word after it has a gain drawn at random."""

    def __init__(self, words: int, rng: np.random.Generator):
        self.words, self.rng = words, rng
        self.histories, self.ids, self.gains = [()], {(): 0}, {}
        self.start, self.contexts = 0, 10**6

    def gain(self, history: tuple[int, ...], word: int) -> float:
        return self.gains.setdefault((history, word), self.rng.normal() - 1)

    def score(self, contexts, words):
        gains, after = [], []
        for context, word in zip(contexts.tolist(), words.tolist(), strict=True):
            history = (*self.histories[context], word)
            gains.append(self.gain(history[:-1], word))
            if history not in self.ids:
                self.ids[history] = len(self.histories)
                self.histories.append(history)
            after.append(self.ids[history])
        return np.array(gains), np.array(after, dtype=np.int64)

    def end(self, contexts):
        return np.array([self.gain(self.histories[context], 0) for context in contexts.tolist()])

    def estimate(self):
        return np.full(self.words + 1, -1.0)


def random_case(seed: int, silence: bool):
    """A lexicon of at most 5 entries of 3 words over 3 tokens, and log-probabilities of a few frames."""
    rng = np.random.default_rng(seed)
    tokens, word = np.zeros((5, 4), int), rng.integers(1, 4, 5)
    for row in tokens:
        length = rng.integers(1, 4)
        row[:length] = rng.integers(1, 4, length)
        row[length] = 4 if silence else 0
    entries = np.unique(np.c_[word, tokens], axis=0)
    logits = 2 * rng.normal(size=(int(rng.integers(1, 6)), 5 if silence else 4))
    log_probs = (logits - np.logaddexp.reduce(logits, 1, keepdims=True)).astype(np.float32)
    return entries[:, 0], entries[:, 1:], log_probs, rng


def enumerate_words(word, tokens, log_probs, scorer, silence: bool, total: bool) -> dict[tuple[int, ...], float]:
    """Score of every word sequence: all paths, all parses, all words."""
    add = np.logaddexp if total else max
    by_tokens: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        collapsed = tuple(token for token, _ in itertools.groupby(path) if token)
        log_prob = sum(float(log_probs[t, token]) for t, token in enumerate(path))
        by_tokens[collapsed] = add(by_tokens[collapsed], log_prob) if collapsed in by_tokens else log_prob
    spelled: dict[tuple[int, ...], set[int]] = {}
    for number, row in zip(word.tolist(), tokens.tolist(), strict=True):
        spelled.setdefault(tuple(token for token in row if token and token != 4), set()).add(number)

    def parses(rest):
        if silence:  # it stands between words, and nowhere else
            groups = [tuple(group) for is_gap, group in itertools.groupby(rest, lambda token: token == 4) if not is_gap]
            return list(itertools.product(*[sorted(spelled.get(group, ())) for group in groups]))
        if not rest:
            return [()]
        heads = ((number, n) for n in range(1, len(rest) + 1) for number in spelled.get(rest[:n], ()))
        return [(number, *tail) for number, n in heads for tail in parses(rest[n:])]

    result: dict[tuple[int, ...], float] = {}
    for collapsed, log_prob in by_tokens.items():
        for words in parses(collapsed):
            gains = [scorer.gain(words[:i], number) for i, number in enumerate(words)]
            score = log_prob + sum(gains) + scorer.gain(words, 0)
            result[words] = add(result[words], score) if words in result else score
    return result


@pytest.mark.parametrize("silence", [False, True])
@pytest.mark.parametrize("total", [False, True])
def test_without_limits_it_is_enumeration(silence, total):
    for seed in range(25):
        word, tokens, log_probs, rng = random_case(seed, silence)
        scorer = RandomScorer(4, rng)
        exact = LexiconSearchConfig(math.inf, 10**9, math.inf, 1.0, 0.3, total, math.inf)
        search = LexiconSearch(PrefixTree.build(word, tokens), scorer, [4] if silence else [], exact)
        state = search.finish(search.step(search.init(), log_probs))
        found = {h.tokens: h.score for h in search.nbest(state, 10**9) if h.score > -1e3}
        expected = enumerate_words(word, tokens, log_probs, scorer, silence, total)
        assert found.keys() == expected.keys()
        for words, score in expected.items():
            assert found[words] == pytest.approx(score, abs=1e-6)


def tiny_lm() -> NGram:
    ids = {word: number for number, word in enumerate(WORDS)}
    corpus = [np.array([ids[word] for word in sentence.split()], dtype=np.int32) for sentence in SENTENCES]
    tables = ngram_train.count([corpus], len(WORDS), 3)
    return ngram_train.export(ngram_train.kneser_ney(tables, 0), WORDS)


def tiny_model(**config) -> WordModel:
    characters, lm = Characters("ant"), tiny_lm()
    lexicon = Lexicon.spelled(WORDS[len(SPECIAL) :], characters)
    return WordModel(WordModelConfig("characters", **config), characters, lm, lexicon)


def frames_of(text: str, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Log-probabilities that spell a text, a blank between any two characters."""
    tokens = [token for character in Characters("ant").encode(text) for token in (character, 0)]
    logits = noise * np.random.default_rng(seed).normal(size=(len(tokens), 5))
    logits[np.arange(len(tokens)), tokens] += 6.0
    return (logits - np.logaddexp.reduce(logits, 1, keepdims=True)).astype(np.float32)


def heard(model: WordModel, frames: np.ndarray, **options) -> str:
    search, spelling = model.search(**options)
    return spelling.decode(search.best(search.finish(search.step(search.init(), frames))).tokens)


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=st.integers(0, 5))
def test_cutting_changes_nothing(cuts, seed):
    search, _ = tiny_model().search()
    frames = frames_of("an ant a nat tan an ant ", 3.0, seed)
    whole = search.step(search.init(), frames)
    state, start, stable, turn = search.init(), 0, (), 0
    while start < len(frames):
        before = pickle.dumps(state)
        after = search.step(state, frames[start : start + cuts[turn % len(cuts)]])
        assert pickle.dumps(state) == before, "a step must not change its state"
        state, start, turn = after, start + cuts[turn % len(cuts)], turn + 1
        now = search.best(state).tokens[: search.stable(state)]
        assert now[: len(stable)] == stable, "what is stable must stay"
        stable = now
    assert search.nbest(search.finish(state), 5) == search.nbest(search.finish(whole), 5)


def test_it_reads_what_is_spelled_and_times_it():
    model = tiny_model()
    assert heard(model, frames_of("an ant a tan ")) == "an ant a tan"
    search, _ = model.search()
    best = search.best(search.finish(search.step(search.init(), frames_of("an ant "))))
    assert best.frames == (0, 6)  # two frames a character, and one space between them
    assert best.ends == (3, 11)
    assert all(0 < confidence <= 1 for confidence in best.confidences)


def test_the_language_model_settles_what_the_sound_leaves_open():
    frames = np.logaddexp(frames_of("an ant "), frames_of("an nat ")[: len(frames_of("an ant "))]) - math.log(2)
    assert heard(tiny_model(), frames) == "an ant"


def test_hotwords_lift_new_words_and_nothing_else():
    model = tiny_model()
    frames = frames_of("an nant a tan ", 1.0)
    assert "nant" not in heard(model, frames)
    assert heard(model, frames, hotwords=[("Nant", 12.0)]) == "an nant a tan"
    other = frames_of("an ant a nat ", 1.0)
    assert heard(model, other, hotwords=[("nant", 12.0)]) == heard(model, other)


def test_a_phrase_that_breaks_off_gives_its_bonus_back():
    model = tiny_model()
    frames = frames_of("an ant a tan ")
    search, _ = model.search()
    plain = search.best(search.finish(search.step(search.init(), frames))).score
    lifted, _ = model.search(hotwords=[("a tan nat", 5.0)])
    assert lifted.best(lifted.finish(lifted.step(lifted.init(), frames))).score == pytest.approx(plain)


@pytest.mark.parametrize("phrase", ["", "123", "zebra", "山"])
def test_hotwords_that_cannot_be_spelled(phrase):
    with pytest.raises(UsageError):
        tiny_model().search(hotwords=[(phrase, 1.0)])
    with pytest.raises(UsageError, match=r"^names\.txt, line 3: "):
        tiny_model().search(hotwords=[Hotword(phrase, 1.0, "names.txt, line 3")])


def test_a_list_that_names_a_word_again_says_nothing_new():
    model, frames = tiny_model(), frames_of("an nant a tan nat ", 1.0)
    once = ["Nant", ("nat", 3.0)]
    plain, _ = model.search(once)
    again, _ = model.search([*once, "nant", ("NANT", 2.0), "nat", ("nat", 1.0)][::-1])
    high, _ = model.search(["Nant", ("nat", 6.0)])
    found = [s.nbest(s.finish(s.step(s.init(), frames)), 5) for s in (plain, again, high)]
    assert found[1] == found[2] != found[0]


def test_a_hotword_with_other_letters_is_written_as_it_was_given():
    assert heard(tiny_model(), frames_of("an nant a tan ", 1.0), hotwords=[("Nánt", 12.0)]) == "an nánt a tan"


# --- the n-gram model


def test_probabilities_sum_to_one_after_any_context():
    for lm in (tiny_lm(), pruned()):
        every = np.arange(len(WORDS))
        for history in itertools.product(range(1, len(WORDS)), repeat=2):
            state = np.array([lm.start])
            for word in history:
                state = lm.score(state, np.array([word]))[1]
            log_p, _ = lm.score(np.repeat(state, len(every)), every)
            log_p[1] = -np.inf  # <s> is never predicted
            assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-4)


def pruned() -> NGram:
    ids = {word: number for number, word in enumerate(WORDS)}
    corpus = [np.array([ids[word] for word in sentence.split()], dtype=np.int32) for sentence in SENTENCES]
    model = ngram_train.mix([ngram_train.kneser_ney(ngram_train.count([corpus], len(WORDS), 3), 0)], [1.0])
    return ngram_train.export(ngram_train.prune(model, 0.02, [1.0]), WORDS)


def test_seen_words_are_likelier_and_pruning_costs_little():
    lm = tiny_lm()
    seen, unseen = lm.log_probs("an ant".split()).sum(), lm.log_probs("ant an".split()).sum()
    assert seen > unseen
    sizes = [sum(len(level.key) for level in model.levels) for model in (lm, pruned())]
    assert sizes[1] < sizes[0]
    sentences = [sentence.split() for sentence in SENTENCES]
    assert pruned().perplexity(sentences)[0] >= lm.perplexity(sentences)[0] - 1e-6


def test_save_and_load(tmp_path):
    model = tiny_model(lm_weight=0.7)
    model.save(tmp_path / "words")
    again = WordModel.load(tmp_path / "words", Characters("ant"))
    assert again.config == model.config
    frames = frames_of("an ant a tan ", 2.0)
    assert heard(again, frames) == heard(model, frames)


@pytest.mark.parametrize("name", ["words.json", "words.ngram"])
@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_damaged_files_are_refused(tmp_path, name, damage):
    tiny_model().save(tmp_path)
    path = tmp_path / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            path.read_bytes()[: len(path.read_bytes()) // 2] if damage == "cut" else b"nothing of the kind"
        )
    with pytest.raises(CheckpointError, match=name):
        WordModel.load(tmp_path, Characters("ant"))
