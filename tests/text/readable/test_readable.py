"""Readable text: the network's law, what a stream shows, the files, the command line, and the bundled model."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import fake_model
import numpy as np
import pytest
import torch
from contract import verify_contract, verify_lookahead
from hypothesis import given, settings
from hypothesis import strategies as st

import transducer
from pipelines.punctuation.text import novels, parse
from transducer.cli import main
from transducer.errors import CheckpointError, UsageError
from transducer.results import Segment, Word
from transducer.text.readable import Readable, ReadableModel, load_readable
from transducer.text.readable.labels import CAPITALISED, INSIDE, LOWER, MARKS, UPPER, best_marks, with_case
from transducer.text.readable.model import CONFIG, VOCABULARY, WEIGHTS, Pauses
from transducer.text.readable.network import ReadableConfig, ReadableNetwork, Window

WORDS = "the a i he said and but where mary london o'brien don't you know".split()


def tiny(look_ahead: int = 2, pauses: Pauses | None = None) -> ReadableModel:
    """Untrained, with scores far apart: it decides in as many ways as there are words around."""
    torch.manual_seed(0)
    config = ReadableConfig(
        words=8, buckets=16, embedding=6, channels=8, hidden=8, past=1, look_ahead=look_ahead, dilations=(1, 2)
    )
    network = ReadableNetwork(config).eval()
    for parameter in network.parameters():
        parameter.data += torch.randn_like(parameter)
    return ReadableModel(network, WORDS[:7], pauses or Pauses(), {})


def segment(texts: list[str], stable: int | None = None, start: float = 0.0) -> Segment:
    """Partial where `stable` is given. Words pause longer and longer."""
    words, clock = [], start
    for k, text in enumerate(texts):
        words.append(Word(text, clock, clock + 0.3, 0.5 + k / 100))
        clock += 0.3 + 0.1 * (k % 4)
    return Segment(tuple(words), stable is None, start, clock, len(words) if stable is None else stable)


def bare(text: str) -> str:
    return text.rstrip("".join(MARKS)).lower()


# --- the network


@pytest.mark.parametrize(
    ("make", "channels", "steps"),
    [
        (lambda: Window(4, 5, 2, 3), 4, 9),
        (lambda: Window(4, 5, 2, 0, dilation=3), 4, 9),
        (lambda: Window(4, 5, 1, 2, dilation=2), 4, 11),
        (lambda: tiny().network.stages, 6, 9),
    ],
)
def test_contract(make, channels, steps):
    stage = make().double().eval()
    verify_contract(stage, channels, [steps, 3, 1], [2, 1], seed=0)
    verify_contract(stage, channels, [7], [5], seed=1)
    verify_lookahead(stage, channels, steps)


# --- a stream of segments


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), min_size=1, max_size=4),
    st.integers(0, 3),
    st.data(),
)
@settings(max_examples=10)
def test_words_stay_and_so_does_what_is_stable(sentences, look_ahead, data):
    model = tiny(look_ahead, Pauses((0.15,), ((0.0,) * 10, (0.0, *[2.0] * 9), (0.0, *[3.0] * 9))))
    straight = [*map(Readable(model), map(segment, sentences))]
    readable = Readable(model)
    for texts, expected in zip(sentences, straight, strict=True):
        final, stable = segment(texts), 0
        for length in sorted(data.draw(st.lists(st.integers(1, len(texts)), max_size=4))):
            stable = data.draw(st.integers(stable, max(stable, length - 1)))
            wrong = data.draw(st.lists(st.sampled_from(WORDS), max_size=2))
            given_words = segment([*texts[: max(length, stable)][:stable], *wrong], stable)
            shown = readable(given_words)
            assert [bare(word.text) for word in shown.words] == [word.text for word in given_words.words]
            assert shown.stable == max(0, stable - max(1, look_ahead)) and not shown.final
            assert shown.words[: shown.stable] == expected.words[: shown.stable]
        result = readable(final)
        assert result == expected  # whatever partials came before it
        assert (result.start, result.end, result.stable) == (final.start, final.end, len(final.words))
        for before, after in zip(final.words, result.words, strict=True):
            assert bare(after.text) == before.text
            assert (after.start, after.end, after.confidence) == (before.start, before.end, before.confidence)


def test_sentences_begin_with_capitals():
    ends, inside = (tuple(50.0 if mark == best else 0.0 for mark in range(len(MARKS))) for best in (2, 0))
    readable = Readable(tiny(pauses=Pauses((0.15,), (inside, ends, ends))))
    assert all(word.text[0].isupper() for word in readable(segment(["the"])).words)
    first, second = readable(segment(["the", "a", "the"])), readable(segment(["the"]))
    assert first.words[0].text == "The" and first.words[2].text.endswith(".")
    assert second.words[0].text == "The."


def test_the_network_goes_on_over_segments():
    sentence, other = segment(WORDS[:6]), segment(WORDS[6:9])
    after, alone = Readable(tiny()), Readable(tiny())
    after(sentence)
    _, state = after.model.step(WORDS[:6], after.model.init_state())
    expected, _ = after.model.step(WORDS[6:9], state, flush=True)
    after(segment([], 0))
    for text in WORDS[6:9]:
        after._take(text)
    rest, _ = after.model.step([], after._state, flush=True)
    assert np.allclose(rest[-1][0], expected[-1][0], atol=1e-5)
    assert alone(other).words  # and one without a past works as well


def test_a_stream_that_takes_back_what_was_stable():
    readable, other = Readable(tiny()), Readable(tiny())
    readable(segment(["the", "a", "i", "he"], 3))
    assert readable(segment(["where", "you", "know"])) == other(segment(["where", "you", "know"]))


def test_segments_without_words():
    readable, other = Readable(tiny()), Readable(tiny())
    for nothing in (segment([], 0), segment([])):
        assert readable(nothing) == nothing
    assert readable(segment(WORDS)) == other(segment(WORDS))


@pytest.mark.parametrize(
    ("word", "case", "written"),
    [
        ("mary", CAPITALISED, "Mary"),
        ("mary", LOWER, "mary"),
        ("i", LOWER, "I"),
        ("i'm", LOWER, "I'm"),
        ("o'brien", CAPITALISED, "O'Brien"),
        ("o'er", CAPITALISED, "O'er"),
        ("mcgregor", CAPITALISED, "McGregor"),
        ("nasa", LOWER, "NASA"),
        ("ii", UPPER, "II"),
        ("straße", UPPER, "straße"),
        ("", CAPITALISED, ""),
    ],
)
def test_cases(word, case, written):
    assert with_case(word, case) == written


def test_a_mark_is_written_where_some_mark_is_likely():
    shares = np.log([[0.5, 0.3, 0.2, *[1e-9] * 7], [0.7, 0.2, 0.1, *[1e-9] * 7], [0.5, 0.1, 0.2, 0.2001, *[1e-9] * 6]])
    assert best_marks(shares + 5).tolist() == [1, 0, 3]


# --- files


def test_saved_and_loaded(tmp_path):
    model = tiny(pauses=Pauses((0.2,), ((0.5,) * len(MARKS), (0.0,) * len(MARKS), (1.0,) * len(MARKS))))
    model.save(tmp_path)
    loaded = load_readable(tmp_path)
    assert loaded.pauses == model.pauses and loaded.vocabulary == model.vocabulary
    ours, theirs = (m.step(WORDS, m.init_state(), flush=True)[0] for m in (model, loaded))
    for a, b in zip(ours, theirs, strict=True):
        assert np.allclose(np.exp(a[0]), np.exp(b[0]), atol=0.1)


def test_files_that_cannot_be_used(tmp_path):
    with pytest.raises(UsageError, match="no model of readable text"):
        load_readable(tmp_path / "none")
    tiny().save(tmp_path)
    for name in (CONFIG, VOCABULARY, WEIGHTS):
        contents = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        with pytest.raises(CheckpointError, match=rf"{re.escape(name)}: No such file"):
            load_readable(tmp_path)
        (tmp_path / name).write_bytes(contents[: len(contents) // 2])
        with pytest.raises(CheckpointError, match="copy"):
            load_readable(tmp_path)
        (tmp_path / name).write_bytes(contents)
    document = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps({**document, "format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        load_readable(tmp_path)
    del document["config"]["past"]
    (tmp_path / CONFIG).write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="do not belong together"):
        load_readable(tmp_path)


# --- print as it is learned from


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ('"Allow me, Mrs.', "allow1 me0, missus1"),
        ("Vaughan - allow me, sir, on the 30th.", "vaughan1— allow0 me0, sir0, on0 the0 thirtieth0."),
        ("It was 1842; I'm well-taught!", "it1 was0 eighteen0 forty0 two0; i'm1 well0 taught0!"),
        ('Was D. H. Lawrence "at home" (or so)?', "was1 d1 h1 lawrence1 at0 home0, or0 so0?"),
        ("CHAPTER I THE ROOM.", ""),
        ("Ἐν ἀρχῇ.", ""),
    ],
)
def test_print_is_read_as_words_with_case_and_mark(line, read):
    assert " ".join(f"{word}{case}{MARKS[mark]}" for word, case, mark in parse(line)) == read


def test_a_question_may_stand_inside_a_sentence():
    ((_, tokens),) = novels(["\ufeffWhere?", "he asked.", "Why?", "Because."])
    assert [token.mark for token in tokens] == [INSIDE[MARKS.index("?")], 0, 2, 3, 2]


# --- the bundled model, and the command line with it


@pytest.fixture(scope="module")
def bundled() -> ReadableModel:
    return load_readable()


def test_bundled_model(bundled):
    folder = Path(transducer.__file__).parent / "checkpoints" / "readable-en"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3_000_000
    assert bundled.look_ahead <= 4 and bundled.card["trained_on"]
    words, clock = [], 0.0
    for text in "i went to london with mary on monday what did you say he asked i said that it was late".split():
        words.append(Word(text, clock, clock + 0.3, 1.0))
        clock += 0.9 if text in ("monday", "say", "asked") else 0.35
    readable = Readable(bundled)(Segment(tuple(words), True, 0.0, clock, len(words))).text
    assert readable.startswith("I went to London with Mary on Monday. What did you say? ")
    assert readable.endswith(" it was late.")  # a segment ends with a pause


def test_a_pause_tells_of_a_sentence(bundled):
    words, pause = segment(["we", "went", "away", "it", "was", "late"]).words, 1.5
    later = tuple(replace(word, start=word.start + pause, end=word.end + pause) for word in words[3:])
    whole = Segment((*words[:3], *later), True, 0.0, later[-1].end, 6)
    assert Readable(bundled)(whole).text == "We went away. It was late."


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setitem(vars(transducer), "load", fake_model.load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.wav").write_text("~i went\n~i went to london\ni went to london in nineteen eighty four\nyou see\n")
    return tmp_path


def test_command_line(folder, bundled, capsys):
    command = ["transcribe", "--model", "fake", "one.wav"]
    assert main([*command, "--digits"]) == 0
    assert capsys.readouterr().out == "i went to london in 1984\nyou see\n"
    assert main([*command, "--punctuate"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("I went to London in ") and bare(second) == "you see"
    assert main([*command, "--punctuate", "--digits", "-f", "txt,json,srt,vtt,tsv,ctm,jsonl", "-o", "out"]) == 0
    for path in (folder / "out").iterdir():
        assert "London" in path.read_text() and "1984" in path.read_text(), path
    assert capsys.readouterr() == ("", "")


def test_partials_on_the_command_line(folder, bundled, capsys):
    assert main(["transcribe", "--model", "fake", "one.wav", "--punctuate", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["final"] for row in rows] == [False, False, True, True]
    assert rows[1]["text"].startswith("I went to London") and rows[1]["stable"] == 0
