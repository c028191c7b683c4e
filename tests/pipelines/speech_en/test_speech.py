"""Pronunciations of the recordings, and whole runs of phases that need them."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
from speech_fixtures import speech_recipe, tone_speech
from training_fixtures import assert_same, stop_after, tiny_model, weights_of, without_times

from pipelines.speech_en.crf import CRFLoss
from pipelines.speech_en.no_speech import NoSpeech
from transducer.data.augment.features import AugmentConfig
from transducer.data.recordings import Dataset
from transducer.errors import UsageError
from transducer.training.log import read_log
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase
from transducer.training.run import train


def quiet(folder: Path) -> Dataset:
    """A table of one recording in which there is nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / "quiet.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    (folder / "quiet.tsv").write_text("path\nquiet.wav\n")
    return Dataset(folder / "quiet.tsv")


def test_a_run_stopped_in_each_phase_is_the_run_that_was_not(tmp_path):
    plain = tone_speech(tmp_path / "data")
    varied = tone_speech(tmp_path / "data", augment=AugmentConfig(), spoken=plain.spoken)
    objectives = (HeadLoss("characters"), HeadLoss("phones", 0.5), NoSpeech(quiet, 0.3))
    phases = (
        Phase("ctc", 6, objectives, batch_frames=500),
        Phase("crf", 8, (*objectives, CRFLoss("phones")), varied, batch_frames=500),
    )
    recipe, cache = speech_recipe(plain, tiny_model(chunks=(2, 4), dropout=0.1), phases), tmp_path / "cache"
    assert train(recipe, tmp_path / "whole", cache=cache) == tmp_path / "whole" / "tones"
    for resume, calls in ((False, 3), (True, 7)):
        assert train(recipe, tmp_path / "parts", cache=cache, resume=resume, stop=stop_after(calls)) is None
    assert train(recipe, tmp_path / "parts", cache=cache, resume=True) == tmp_path / "parts" / "tones"

    for phase in ("ctc", "crf"):
        assert_same(*(weights_of(tmp_path / name, phase) for name in ("whole", "parts")))
    logs = [[without_times(row) for row in read_log(tmp_path / name / "log.jsonl")] for name in ("whole", "parts")]
    assert logs[0] == logs[1] and len(logs[0]) == 14
    assert logs[0][-1]["loss:silence"] > 0 and logs[0][-1]["loss:crf:phones"] > 0


def test_words_are_pronounced_as_in_the_dictionary_or_by_rule(tmp_path):
    speech = tone_speech(tmp_path, prepare=True)
    assert speech.spoken.tokens("abc ace", "phones") == [1, 2, 3, 1, 3, 5]
    assert speech.spoken.tokens("abc xyz", "phones") is None
    assert speech.targets(0, 0)["phones"] == [1, 2, 3, 4, 5]

    asked = []

    def pronounce(words, lexicon):
        asked.append(list(words))
        return {word: [["E", "E"], ["A"]] for word in words}

    (tmp_path / "short.dict").write_text("abc A B C\nde D E\nace A C E\n")
    heard = tone_speech(tmp_path, lexicon=tmp_path / "short.dict", pronounce=pronounce, prepare=True)
    assert heard.spoken.tokens("ace bad", "phones") == [1, 3, 5, 5, 5]
    tone_speech(tmp_path, lexicon=tmp_path / "short.dict", pronounce=pronounce, prepare=True)
    assert len(asked) == 1  # kept in the cache
    alone = tone_speech(tmp_path, lexicon=tmp_path / "short.dict", prepare=True)
    assert "phones" not in alone.targets(3, 0) and "characters" in alone.targets(3, 0)


def test_phones_need_a_dictionary(tmp_path):
    with pytest.raises(UsageError, match="phones need a pronouncing dictionary"):
        tone_speech(tmp_path, lexicon=tmp_path / "none.dict", prepare=True)
