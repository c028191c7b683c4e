"""Alignment of a text that is given: against all paths, in any pieces, in little memory; and with the bundled model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import transducer
from transducer.cli import main
from transducer.errors import UsageError
from transducer.media import read_audio
from transducer.search.tokens.alignment import OTHER, SETTLE, AlignmentSearch
from transducer.search.tokens.given_text import TextGraph, _Builder, read_words
from transducer.search.tokens.words import WordTimer
from transducer.text.tokenizers.symbols import Symbols

SAMPLE = Path(__file__).resolve().parents[3] / "sample_media" / "the-way.mp3"
SAID = """Turn left at the old mill,
and follow the river for 2 miles.
You will see the village — from the top of the hill."""
SOUNDS = {"a": [[1]], "b": [[2], [3, 1]], "c": [[1, 2]], "x": [[4]]}


def graph_of(text: str) -> TextGraph:
    return _Builder(SOUNDS).build(read_words(text))


def search_of(text: str) -> AlignmentSearch:
    return AlignmentSearch(graph_of(text), WordTimer(Symbols(["word"]), 0.04))


def best_score(graph: TextGraph, log_probs: np.ndarray) -> float:
    """Of all paths, one by one."""

    def score(step: int, state: int) -> float:
        row = log_probs[step]
        other = max(row[0], row.max() - OTHER)
        here = float(other if graph.between[state] else row[graph.token[state]])
        if not step:
            return here if state in graph.first else -np.inf
        return here + max(score(step - 1, int(before)) for before in graph.before[state] if before >= 0)

    return max(score(len(log_probs) - 1, int(state)) for state in graph.last)


@pytest.mark.parametrize("text", ["a", "b", "a a", "b c", "a b"])
@pytest.mark.parametrize("seed", range(3))
def test_the_best_of_all_paths_is_found(text, seed):
    log_probs = np.log(np.random.default_rng(seed).dirichlet(np.full(4, 0.5), 6))
    search = search_of(text)
    ((state, _),) = search.step([search.init()], [log_probs])
    ends = [end - state.low for end in search.graph.last if 0 <= end - state.low < len(state.scores)]
    assert max(state.scores[ends]) == pytest.approx(best_score(search.graph, log_probs))


def spoken(text: str, steps: int) -> tuple[np.ndarray, list[int]]:
    """Log-probabilities of a text whose words come every so many steps, and when they do."""
    places, rows = [], []
    for number, word in enumerate(text.split()):
        places.append(number * steps + 2)
        rows += [0] * 2 + SOUNDS[word][0] + [0] * (steps - 2 - len(SOUNDS[word][0]))
    return np.log(np.eye(5)[rows] * 0.9 + 0.02).astype(np.float32), places


def run(search: AlignmentSearch, log_probs: np.ndarray, cuts: list[int]) -> tuple[list, int]:
    state, segments, most = search.init(), [], 0
    for part in np.split(log_probs, cuts):
        ((state, found),) = search.step([state], [part])
        segments += found
        most = max(most, len(state.open) + len(state.path))
    return segments + search.flush(state)[1], most


def test_a_long_recording_in_any_pieces_and_little_memory():
    text = "\n".join(["a b c", "c a", "b b a c"] * 100)
    log_probs, places = spoken(text, 9)
    search = search_of(text)
    whole, _ = run(search, log_probs, [])
    pieces, held = run(search, log_probs, sorted(np.random.default_rng(0).integers(0, len(log_probs), 60).tolist()))
    assert whole == pieces
    assert [segment.text for segment in whole] == text.splitlines()
    words = [word for segment in whole for word in segment.words]
    assert [round(word.start / 0.04) for word in words] == places
    assert all(word.confidence > 0.9 for word in words)
    assert held < 8 * SETTLE < 0.5 * len(log_probs)


def test_what_is_not_in_the_text_stays_between_its_words():
    first, _ = spoken("a b", 9)
    other, _ = spoken("x x x x", 9)
    last, _ = spoken("b a", 9)
    (segment,), _ = run(search_of("a b b a"), np.concatenate([first, other, last]), [])
    starts = [round(word.start / 0.04) for word in segment.words]
    assert starts == [2, 11, 9 * 6 + 2, 9 * 7 + 2]


def test_words_are_read_as_they_are_said():
    words = read_words("— Well-known “O’Brien” —\n\n2 miles, 1,250 on the 21st: No. B2")
    assert [(word.text, word.line, word.said) for word in words] == [
        ("Well-known", 0, ("well", "known")),
        ("“O’Brien” —", 0, ("o'brien",)),
        ("2", 2, ("two",)),
        ("miles,", 2, ("miles",)),
        ("1,250", 2, ("one", "thousand", "two", "hundred", "and", "fifty")),
        ("on", 2, ("on",)),
        ("the", 2, ("the",)),
        ("21st:", 2, ("twenty", "first")),
        ("No.", 2, ("no",)),
        ("B2", 2, ("b", "two")),
    ]


@pytest.fixture(scope="module")
def model():
    return transducer.load("speech-en")


def test_a_text_gets_its_times(model):
    samples = read_audio(SAMPLE, model.rate)
    found = model.align([samples], SAID)
    assert [segment.text for segment in found.segments] == SAID.splitlines() and not found.warnings
    heard = {word.text: word.start for word in model.transcribe([samples], second_pass="none").words}
    for word, name in (("mill,", "mill"), ("river", "river"), ("village —", "village"), ("hill.", "hill")):
        assert next(w.start for w in found.words if w.text == word) == pytest.approx(heard[name], abs=0.1)
    cuts = np.cumsum(np.random.default_rng(0).integers(1, 9000, 60))
    assert model.align(np.split(samples, cuts[cuts < len(samples)]), SAID).segments == found.segments


def test_a_text_that_does_not_match_says_so(model):
    other = model.align(SAMPLE, "My sister planted a small apple tree behind the house")
    assert any("the text does not match what is said" in warning for warning in other.warnings)
    longer = model.align(SAMPLE, "word " * 200)
    assert any("ends before the text: " in warning for warning in longer.warnings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no words"),
        ("... —", "has no words"),
        ("日本", "the text, line 1: cannot"),
        (3, "must be a string"),
    ],
)
def test_texts_that_cannot_be_aligned(model, text, message):
    with pytest.raises(UsageError, match=message):
        model.align(SAMPLE, text)


def test_options_that_mean_nothing_here(model):
    with pytest.raises(UsageError, match="hotwords: is of no use"):
        model.align(SAMPLE, SAID, hotwords=["mill"])
    with pytest.raises(UsageError, match="greedy search was asked for"):
        model.align(SAMPLE, SAID, search="greedy")


def test_the_command(tmp_path, capsys):
    (tmp_path / "said.txt").write_text("\ufeff" + SAID, encoding="utf-8")
    assert main(["align", str(SAMPLE), str(tmp_path / "said.txt")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [segment["text"] for segment in document["segments"]] == SAID.splitlines()
    assert main(["align", str(SAMPLE), str(tmp_path / "said.txt"), "--output", str(tmp_path / "said.srt")]) == 0
    assert "Turn left at the old mill," in (tmp_path / "said.srt").read_text()
    assert main(["align", str(SAMPLE), str(tmp_path / "none.txt")]) == 2
    assert "none.txt: cannot read the text (No such file" in capsys.readouterr().err
