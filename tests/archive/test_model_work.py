"""What one model makes of items: results, and causes of failure in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from media_fixtures import wav
from tiny_full_context import tiny_full_context
from tiny_models import RATE, speech, tiny_model

from transducer.archive.listed import decode, encode, read_list
from transducer.archive.manifest import BadLine, Item
from transducer.archive.model_work import ModelWork, Settings
from transducer.archive.results import Failed
from transducer.engine.clips import ClipBatch
from transducer.errors import MediaError, UsageError
from transducer.formats.words.document import transcript_to_dict
from transducer.results import Transcript

pytest.importorskip("pyarrow")


@pytest.fixture
def work() -> ModelWork:
    return ModelWork(tiny_model("ctc"), {}, retries=2)


@pytest.fixture
def sound(tmp_path) -> Path:
    (tmp_path / "a.wav").write_bytes(wav(speech(3), RATE))
    return tmp_path / "a.wav"


def assert_like(found: Transcript, expected: Transcript) -> None:
    """Alike up to the rounding of confidences: short sounds go through the network with others."""

    def rounded(transcript: Transcript) -> dict:
        data = transcript_to_dict(transcript)
        for segment in data["segments"]:
            for word in segment["words"]:
                word["confidence"] = pytest.approx(word["confidence"], abs=2e-3)
        return data

    assert transcript_to_dict(found) == rounded(expected)


def test_what_a_clip_gets_does_not_depend_on_the_others(work, tmp_path):
    items = []
    for number in range(18):  # more than fit at a time
        (tmp_path / f"{number}.wav").write_bytes(wav(speech(number, words=1), RATE))
        items.append(Item(str(tmp_path / f"{number}.wav"), f"{number}.wav", line=number))
    outcomes = list(work.outcomes(items))
    assert not [outcome.error for outcome in outcomes if isinstance(outcome, Failed)]
    together = {outcome.item.line: outcome.result for outcome in outcomes}
    for item in (items[0], items[-1]):
        assert [outcome.result for outcome in work.outcomes([item])] == [together[item.line]]


def test_a_bug_in_a_batch_costs_only_the_batch(work, sound, monkeypatch):
    monkeypatch.setattr(ClipBatch, "step", lambda self: 1 / 0)
    items = [Item(str(sound), "a.wav", line=1), Item(str(sound), "a.wav", line=2)]
    assert [outcome.fields["status"] for outcome in work.outcomes(items)] == ["done", "done"]


def test_results_are_those_of_a_session(work, sound):
    options = {"start": 0.5, "length": 1.0}
    found = list(work.outcomes([Item(str(sound), "a.wav", line=1), Item(str(sound), "a.wav", **options, line=2)]))
    found.sort(key=lambda outcome: outcome.item.line)
    for outcome, given in zip(found, ({}, options), strict=True):
        assert_like(outcome.result, tiny_model("ctc").transcribe(str(sound), **given))
    assert found[0].result.text and [outcome.fields["line"] for outcome in found] == [1, 2]
    assert {outcome.fields["status"] for outcome in found} == {"done"}


def test_sources_that_only_pyarrow_opens(work, sound):
    address = f"local://{sound}"  # fsspec's; s3:// takes the same way
    (found,) = work.outcomes([Item(address, address, line=1)])
    assert_like(found.result, replace(tiny_model("ctc").transcribe(str(sound)), source=address))


def test_failures_are_told_in_a_line(work, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("transducer.archive.model_work.time.sleep", pauses.append)
    (tmp_path / "text.wav").write_text("no sound")
    items = [
        Item(str(tmp_path / "none.wav"), "none.wav", line=1),
        Item(str(tmp_path / "text.wav"), "text.wav", line=2),
        Item(f"local://{tmp_path}/none.wav", "far.wav", line=3),
        BadLine("list, line 4", "no JSON", 4),
    ]
    errors = [outcome.fields["error"] for outcome in work.outcomes(items)]
    assert "none.wav: no such file" in errors[0] and "text.wav" in errors[1]
    assert errors[2].endswith("none.wav: no such file; check the name") and errors[3] == "list, line 4: no JSON"
    assert not pauses and not any("tried" in error for error in errors)


def test_what_cannot_be_reached_is_tried_again(work, sound, monkeypatch):
    pauses, calls = [], []
    monkeypatch.setattr("transducer.archive.model_work.time.sleep", pauses.append)

    def opened(path: str) -> str:
        calls.append(path)
        if len(calls) in (1, 3, 4, 5):
            raise MediaError(f"{path}: the connection was lost")
        return str(sound)

    monkeypatch.setattr("transducer.archive.model_work.open_address", opened)
    item = Item("s3://bucket/a.wav", "s3://bucket/a.wav", line=1)
    again, never = work.outcomes([item, item])
    assert again.fields["status"] == "done" and len(calls) == 5 and pauses == [1.0, 1.0, 2.0]
    assert never.fields["error"] == "s3://bucket/a.wav: the connection was lost (tried 3 times)"


def test_bugs_are_no_end(work, monkeypatch):
    monkeypatch.setattr("transducer.archive.model_work.open_address", lambda path: 1 / 0)
    (found,) = work.outcomes([Item("a.wav", "a.wav")])
    assert found.fields["error"] == "a.wav: went wrong: ZeroDivisionError: division by zero"


def test_nothing_is_decoded_for_nobody_to_see(sound):
    """A full-context model's segments while they grow, each of which costs as much as the whole."""
    model = tiny_full_context()
    work, asked = ModelWork(model, {}, retries=0), []
    model.session = lambda source, **options: asked.append(options)
    list(work.outcomes([Item(f"local://{sound}", "a.wav")]))
    assert asked == [{"partials": False}] and work._clips.engine is model.engine(partials=False)


def test_what_cannot_be_meant_is_told_before_anything():
    with pytest.raises(UsageError, match="unknown model 'none'"):
        Settings("none").start()
    with pytest.raises(UsageError, match="threshold"):
        ModelWork(tiny_model("ctc"), {"threshold": 0.5}, retries=0)


def test_lists_are_read_wherever_they_are(tmp_path):
    (tmp_path / "list.tsv").write_text("path\tstart\na.wav\t1\ns3://b/c.wav\t\n\t\n")
    for place, folder in ((str(tmp_path / "list.tsv"), str(tmp_path)), (f"local://{tmp_path}/list.tsv",) * 2):
        folder = folder.removesuffix("/list.tsv")
        found = list(read_list(place))
        assert found[:2] == [
            Item(f"{folder}/a.wav", "a.wav", 1.0, line=2),
            Item("s3://b/c.wav", "s3://b/c.wav", line=3),
        ]
        assert [decode(encode(item)) for item in found] == found
    with pytest.raises(UsageError, match=r"none\.tsv: the list cannot be read"):
        next(read_list(str(tmp_path / "none.tsv")))
