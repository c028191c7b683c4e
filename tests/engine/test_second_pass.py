"""Two models on one stream: partial words of the first, finals of the second, and the law for both."""

from __future__ import annotations

import copy
import itertools
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from contract import verify_contract
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_full_context import tiny_full_context, write_full_context
from tiny_models import LETTERS, MODELS, RATE, build_network, speech, tiny_model

from transducer.engine.model import load
from transducer.engine.second_pass import WithFeatures
from transducer.errors import UsageError
from transducer.frontends.whisper_mel import WhisperMel
from transducer.model.checkpoint import save_checkpoint
from transducer.model.sequence import Serial
from transducer.results import Segment
from transducer.search.endpoint import SENTENCE_PAUSE, EndpointRules


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_full_context(tmp_path_factory.mktemp("second"), rate=RATE)


def listen(packets: list[np.ndarray], second: Path | None) -> list[Segment]:
    stream = tiny_model("ctc").stream(second_pass=second, endpoint=EndpointRules())
    return [*itertools.chain.from_iterable(map(stream.push, packets)), *stream.finish()]


@settings(max_examples=3)
@given(st.integers(0, 3), st.lists(st.integers(0, 5 * RATE), max_size=6))
def test_packets_of_any_size_give_the_same(second: Path, seed: int, cuts: list[int]) -> None:
    sound = speech(seed)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(sound)), len(sound)]
    assert listen([sound[a:b] for a, b in itertools.pairwise(bounds)], second) == listen([sound], second)


def test_finals_are_those_of_the_second_model_where_the_first_one_has_them(second: Path) -> None:
    plain, both = listen([speech(1)], None), listen([speech(1)], second)
    finals = [segment for segment in both if segment.final]
    assert finals
    assert [s.words for s in both if not s.final and s.words] == [s.words for s in plain if not s.final and s.words]
    assert not any(segment.stable for segment in both if not segment.final)
    firsts = [segment for segment in plain if segment.final]
    assert [s.text for s in finals] != [s.text for s in firsts]
    for final in finals:
        assert any(abs(final.start - s.start) < 1 and abs(final.end - s.end) < 1 for s in firsts)
        assert final.start < final.end <= len(speech(1)) / RATE + 0.04  # a step of the first model


def test_the_second_model_hears_the_sound_of_a_segment(second: Path) -> None:
    """What it gets are the features of that sound, to the step."""
    sound = speech(1)
    stream = tiny_model("ctc").stream(second_pass=second)
    heard = []
    inner = stream.engine.search.second
    object.__setattr__(
        inner, "whole", lambda state, begin, features, said: (heard.append((begin, features)) or state, [])
    )
    try:
        stream.push(sound)
        stream.finish()
    finally:
        object.__delattr__(inner, "whole")
    mel = WhisperMel(8, RATE, RATE // 40, RATE // 100)
    x = torch.from_numpy(sound)[None, :, None]
    features = mel(x, torch.ones(x.shape[:2], dtype=torch.bool))[0][0].numpy()
    features = np.pad(features, [(0, 4), (0, 0)], constant_values=-10.0)
    assert heard
    for begin, part in heard:
        np.testing.assert_allclose(part, features[begin : begin + len(part)], atol=1e-5)
    assert all(a + len(part) <= b for (a, part), (b, _) in itertools.pairwise(heard))


def test_a_model_may_have_a_second_pass_by_default(second: Path, tmp_path: Path) -> None:
    config, seed = MODELS["ctc"]
    config = replace(config, decoding=replace(config.decoding, second_pass=str(second)))
    save_checkpoint(tmp_path / "model", build_network(config, seed), config, {"letters": LETTERS})
    model, sound = load(tmp_path / "model"), [speech(1)]
    plain = tiny_model("ctc")
    assert model.transcribe(sound).text == plain.transcribe(sound, second_pass=second).text
    alone = plain.transcribe(sound).text
    assert model.transcribe(sound, second_pass="none").text == alone != model.transcribe(sound).text
    # What only the first model has: its heads, its words as events.
    assert model.transcribe(sound, head=next(iter(config.heads))).text == alone
    assert [event.label for event in model.label(sound).events] == [event.label for event in plain.label(sound).events]
    assert model.info()["defaults"]["second_pass"] == str(second)


def test_hotwords_and_alternatives_are_the_second_model_s_as_well(second: Path) -> None:
    model, sound = tiny_model("ctc"), [speech(1)]
    plain = model.transcribe(sound, second_pass=second)
    assert not any(segment.alternatives for segment in plain.segments)
    several = model.transcribe(sound, second_pass=second, nbest=3)
    assert all(segment.alternatives for segment in several.segments)
    engine = model.engine(second_pass=second, nbest=2)
    assert engine.search.second.alternatives == 2


def test_a_stream_with_a_second_pass_can_be_saved_and_stays_small(second: Path) -> None:
    sound, model = speech(2), tiny_model("ctc")
    stream = model.stream(second_pass=second)
    before = stream.push(sound[: len(sound) // 2])
    again = model.stream(second_pass=second, state=pickle.loads(pickle.dumps(stream.state)))
    rest = [*again.push(sound[len(sound) // 2 :]), *again.finish()]
    assert before + rest == listen([sound], second)
    quiet = model.stream(second_pass=second)
    quiet.push(np.zeros(60 * RATE, np.float32))
    assert len(pickle.dumps(quiet.state)) < 100_000


def test_features_beside_a_network_hold_the_contract() -> None:
    first = copy.deepcopy(tiny_model("ctc").network)  # which other tests have as well
    main = Serial(first.frontend, first.encoder)
    verify_contract(WithFeatures(main, WhisperMel(4, RATE, 40, 16), -10.0).double().eval(), 1, [700, 331], [1, 3], 0)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("ctc", "speech-en", "does not hear what"),
        ("ctc, look-ahead", None, "without look-ahead"),
        ("full", None, "follows a model that writes words while it hears"),
    ],
)
def test_models_that_do_not_go_together_say_so(first: str, second: str | None, message: str, tmp_path: Path) -> None:
    model = tiny_full_context() if first == "full" else tiny_model(first)
    with pytest.raises(UsageError, match=message):
        model.engine(second_pass=second or write_full_context(tmp_path, rate=RATE))


def test_the_first_search_is_narrower_where_another_model_writes_finals(tmp_path: Path, second: Path) -> None:
    config, seed = MODELS["ctc"]
    config = replace(config, decoding=replace(config.decoding, search="beam", beam=7, draft_beam=3))
    save_checkpoint(tmp_path / "model", build_network(config, seed), config, {"letters": LETTERS})
    model = load(tmp_path / "model")
    assert model.engine(second_pass=second).search.first.search.config.size == 3
    assert model.engine().search.search.config.size == 7
    assert model.engine(second_pass=second, beam=5).search.first.search.config.size == 5


def test_segments_are_whole_sentences_unless_something_else_is_asked_for(second: Path) -> None:
    model, step = tiny_model("ctc"), 0.04
    pauses = {
        asked: model.engine(second_pass=second, endpoint=asked).search.first.endpointer.after_words * step
        for asked in (None, EndpointRules(silence_after_words=0.4))
    }
    assert list(pauses.values()) == pytest.approx([SENTENCE_PAUSE, 0.4])
