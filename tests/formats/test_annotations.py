"""Words and scenes in one file: which scene a word is in, and subtitles that keep off cuts."""

from __future__ import annotations

import json

import pysubs2
import pytest
from fake_label_model import event, shots
from hypothesis import given
from hypothesis import strategies as st

from transducer.errors import UsageError
from transducer.formats import check_format, formats, render
from transducer.formats.annotations import snap_to_cuts
from transducer.formats.subtitles import Cue
from transducer.formats.words.cues import GAP_MS, MIN_MS
from transducer.results import Annotation, Labelling, Segment, Transcript, Word


def annotation(*words: tuple[str, float, float]) -> Annotation:
    """One segment of words over three shots: a cut at 2 s, a dissolve from 4 to 5 s."""
    said = tuple(Word(text, start, end, 0.9) for text, start, end in words)
    segments = (Segment(said, True, said[0].start, said[-1].end, len(said)),) if said else ()
    events = [event("cut", 49, 50), event("dissolve", 99, 125)]
    labelling = Labelling("a.mp4", 25.0, 250, 10.0, tuple(events), shots(events, 250), (), "transitions")
    return Annotation("a.mp4", Transcript(segments, 11.0, "a.mp4"), labelling)


@pytest.mark.parametrize(
    ("seconds", "scene"), [(-0.5, None), (0.0, 0), (1.99, 0), (2.0, 1), (4.5, 1), (5.0, 2), (10.9, 2)]
)
def test_scene_at(seconds: float, scene: int | None) -> None:
    assert annotation().scene_at(seconds) == scene
    assert Annotation("a.mp4", None, None).scene_at(seconds) is None


def test_words_on_a_cut_belong_to_where_most_of_them_is() -> None:
    data = json.loads(render(annotation(("one", 1.0, 1.5), ("two", 1.8, 2.3), ("three", 4.9, 5.4)), "json"))
    (segment,) = data["segments"]
    assert segment["scene"] == 0 and [word["scene"] for word in segment["words"]] == [0, 1, 2]
    assert data["duration"] == 11.0 and data["text"] == "one two three"


@pytest.mark.parametrize("format", formats(Annotation))
def test_every_format_takes_nothing_and_half(format: str) -> None:
    whole = annotation(("hello", 1.0, 1.5))
    for part in (whole, annotation(), Annotation("a", whole.transcript, None), Annotation("a", None, whole.labelling)):
        assert render(part, format) or format in ("srt", "jsonl", "txt")
    with pytest.raises(UsageError, match="unknown format 'edl'"):
        check_format("edl", Annotation)


def test_subtitles_end_before_a_cut_that_they_would_hang_over() -> None:
    file = pysubs2.SSAFile.from_string(render(annotation(("hello", 0.5, 1.5), ("there", 1.6, 2.2)), "srt"))
    assert [(cue.start, cue.end) for cue in file] == [(500, 2000 - GAP_MS)]


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(MIN_MS, 7000)), max_size=8),
    st.lists(st.integers(0, 30_000), max_size=8).map(sorted),
)
def test_snapped_cues_keep_order_and_length(pieces: list[tuple[int, int]], cuts: list[int]) -> None:
    cues, clock = [], 0
    for pause, length in pieces:
        cues.append(Cue(clock + pause, clock + pause + length, ("x",)))
        clock = cues[-1].end
    snapped = snap_to_cuts(cues, cuts)
    assert [cue.lines for cue in snapped] == [cue.lines for cue in cues]
    last = 0
    for before, after in zip(cues, snapped, strict=True):
        assert after.start >= last and after.end - after.start >= MIN_MS
        assert (
            before.start - 250 <= after.start <= before.start and before.end - 500 - GAP_MS <= after.end <= before.end
        )
        last = after.end
