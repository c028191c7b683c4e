"""Output formats, and the promises that subtitles make to their readers."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pysubs2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import transducer
from transducer.atomic import atomic_write
from transducer.errors import UsageError
from transducer.formats import ResultWriter, formats, parse_json, register, render, row_format, write
from transducer.formats.words.cues import (
    CHARACTERS_PER_SECOND,
    GAP_MS,
    LINE_LENGTH,
    MAX_MS,
    MIN_MS,
    SPANNED_PAUSE,
    make_cues,
    spoken_words,
    width,
)
from transducer.formats.words.karaoke import light_words
from transducer.results import Event, Labelling, Scene, Segment, Transcript, Word

# Time limits would only tell how busy the machine is.
SOME = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXT = (
    "the second in importance is as follows sovereignty may be defined to be the right of making laws in france "
    "the king really exercises a portion of the sovereign power since the laws have no weight"
)


def speak(text: str, start: float = 0.0, rate: float = 14.0) -> Segment:
    """A segment in which every word takes as long as it has letters, at so many a second."""
    words = []
    for word in text.split():
        end = start + (len(word) + 1) / rate
        words.append(Word(word, start, end, 0.75))
        start = end
    return Segment(tuple(words), True, words[0].start, words[-1].end, len(words))


def transcript(*segments: Segment) -> Transcript:
    return Transcript(segments, segments[-1].end + 5.0 if segments else 0.0, "talk.wav", "en", ("damaged at 3.5 s",))


AWKWARD = (
    "a",
    "of",
    "the",
    "house.",
    "tea,",
    "N",
    "\\Nd",
    "{b}",
    "a<b",
    "&",
    "é" * 9,
    "-" * 21,
    "w" * 41,
    "x" * 90,
    "天",
    "好，" * 30,
)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Any words at any times (in milliseconds), in order or not quite."""
    segments, clock = [], 0
    for final in draw(st.lists(st.booleans(), max_size=3)):
        words = []
        rows = st.tuples(
            st.sampled_from(AWKWARD), st.sampled_from((0, 0, 40, 300, 2000)), st.sampled_from((0, 240, 9000))
        )
        for text, pause, length in draw(st.lists(rows, max_size=20)):
            clock += pause
            words.append(Word(text, clock / 1000, (clock + length) / 1000, 0.5, draw(st.booleans())))
            clock += draw(st.sampled_from((0, length)))
        start, end = (words[0].start, words[-1].end) if words else (clock / 1000, clock / 1000)
        segments.append(Segment(tuple(words), final, start, end, len(words) if final else len(words) // 2))
    return Transcript(tuple(segments), clock / 1000, "a b.wav")


@given(transcripts())
@SOME
def test_json_round_trip(original: Transcript) -> None:
    assert parse_json(render(original, "json")) == original


def test_json_keys() -> None:
    alternatives = (("hello", -1.5), ("yellow", -2.25))
    segment = Segment((Word("hello", 0.1234, 0.5678, 0.98765),), True, 0.1234, 0.5678, 1, alternatives)
    data = json.loads(render(transcript(segment), "json"))
    assert list(data) == ["source", "language", "duration", "text", "segments", "warnings"]
    assert data["warnings"] == ["damaged at 3.5 s"]
    assert data["segments"] == [
        {
            "start": 0.1234,
            "end": 0.5678,
            "text": "hello",
            "final": True,
            "words": [{"text": "hello", "start": 0.1234, "end": 0.5678, "confidence": 0.9877}],
            "alternatives": [{"text": "hello", "log_prob": -1.5}, {"text": "yellow", "log_prob": -2.25}],
        }
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"segments": []}', '{"segments": [{}], "duration": 1}'])
def test_json_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a transcript"):
        parse_json(text)


def test_rows() -> None:
    two = transcript(speak("hello there", 1.0, rate=10), Segment((), True, 2.5, 2.5), speak("you", 3.0, rate=10))
    assert render(two, "txt") == "hello there\nyou\n"
    assert render(two, "tsv") == "start\tend\ttext\n1.000\t2.200\thello there\n3.000\t3.400\tyou\n"
    assert render(two, "ctm") == (
        "talk 1 1.000 0.600 hello 0.7500\ntalk 1 1.600 0.600 there 0.7500\ntalk 1 3.000 0.400 you 0.7500\n"
    )
    assert [json.loads(line)["text"] for line in render(two, "jsonl").splitlines()] == ["hello there", "", "you"]


@pytest.mark.parametrize("format", formats(Transcript))
def test_nothing_said(format: str) -> None:
    empty = Transcript((), 3.0, "silence.wav")
    assert (
        render(empty, format)
        == {
            "txt": "",
            "json": render(empty, "json"),
            "jsonl": "",
            "srt": "",
            "vtt": "WEBVTT\n\n",
            "tsv": "start\tend\ttext\n",
            "ctm": "",
        }[format]
    )


def test_unknown_format_lists_the_formats() -> None:
    with pytest.raises(UsageError, match=r"unknown format 'doc'.*txt.*ctm"):
        render(transcript(), "doc")
    assert render(transcript(), ".TXT") == ""


@given(transcripts())
@SOME
def test_cues_keep_their_promises(spoken: Transcript) -> None:
    cues = make_cues(spoken)
    shown = "".join(line for cue in cues for line in cue.lines).replace(" ", "")
    assert shown == "".join(word.text for word in spoken.words)
    for cue in cues:
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < width(line) <= LINE_LENGTH for line in cue.lines)
        assert 0 < cue.end - cue.start <= MAX_MS
    for before, after in itertools.pairwise(cues):
        assert before.end <= after.start


@given(transcripts(), st.sampled_from(("srt", "vtt")))
@SOME
def test_subtitles_read_back(spoken: Transcript, format: str) -> None:
    cues = make_cues(spoken)
    text = render(spoken, format)
    read = pysubs2.SSAFile.from_string(text, format_=format, keep_html_tags=True)
    assert [(event.start, event.end) for event in read] == [(cue.start, cue.end) for cue in cues]
    blocks = text.removeprefix("WEBVTT\n\n").split("\n\n")[:-1]
    assert [len(block.split("\n")) - 2 for block in blocks] == [len(cue.lines) for cue in cues]


def test_vtt_marks_are_escaped_and_brackets_stay() -> None:
    spoken = transcript(speak("a<b & {c} \\Nd"))
    assert "a&lt;b &amp; {c} \\\u2060Nd" in render(spoken, "vtt")
    assert "a<b & {c} \\\u2060Nd" in render(spoken, "srt")


def test_ordinary_speech_is_readable() -> None:
    spoken = transcript(speak(TEXT), speak(TEXT, start=20.0))
    cues = make_cues(spoken)
    for cue, after in zip(cues, [*cues[1:], None], strict=True):
        assert cue.end - cue.start >= MIN_MS
        assert sum(map(len, cue.lines)) / (cue.end - cue.start) * 1000 <= CHARACTERS_PER_SECOND
        assert after is None or after.start - cue.end >= GAP_MS
        if len(cue.lines) == 2:
            assert max(map(len, cue.lines)) < 2 * min(map(len, cue.lines))
        assert cue.lines[-1].split()[-1] not in {"the", "of", "to", "a", "in", "may"}


def test_a_pause_is_used_to_read_on() -> None:
    fast, slow = speak("extraordinarily quick speech nobody can read", rate=40.0), speak("then nothing", start=6.0)
    first, second = make_cues(transcript(fast, slow))
    assert first.end > round(fast.end * 1000)
    assert first.end - first.start >= 1000 * len(first.lines[0]) / CHARACTERS_PER_SECOND - 50
    assert second.start == 6000


def test_a_short_word_stays_long_enough() -> None:
    (cue,) = make_cues(transcript(speak("no", start=1.0, rate=30.0)))
    assert cue.end - cue.start == MIN_MS


def test_no_cue_spans_a_long_silence() -> None:
    gap = SPANNED_PAUSE + 0.1
    first = Word("wait", 0.0, 0.5, 1.0)
    second = Word("what", 0.5 + gap, 1.0 + gap, 1.0)
    together = Segment((first, second), True, 0.0, 1.0 + gap)
    assert len(make_cues(transcript(together))) == 2


def test_long_words_are_parted() -> None:
    spoken = transcript(speak("x" * 100))
    assert [len(line) for cue in make_cues(spoken) for line in cue.lines] == [42, 42, 16]


def test_no_spaces_between_words_that_have_none() -> None:
    texts = ("今天", "天气", "很好，", "我们", "去", "公园", "散步", "吧。")
    words = tuple(Word(text, number / 2, (number + 1) / 2, 0.5, True) for number, text in enumerate(texts))
    halves = (Segment(words[:5], True, 0.0, 2.5, 5), Segment(words[5:], True, 2.5, 4.0, 3))
    spoken = transcript(*halves)
    assert spoken.text == "".join(texts)
    assert render(spoken, "txt") == "今天天气很好，我们去\n公园散步吧。\n"
    cues = make_cues(spoken)
    assert "".join(line for cue in cues for line in cue.lines) == spoken.text
    assert [part.lines[0][part.lit[1] : part.lit[2]] for part in light_words(cues, spoken)] == list(texts)
    assert parse_json(render(spoken, "json")) == spoken


def test_lines_break_before_a_phrase() -> None:
    (cue,) = make_cues(transcript(speak("she looked for a long time at the old house on the hill")))
    assert cue.lines == ("she looked for a long time", "at the old house on the hill")


class Lines(io.StringIO):
    """Remembers what each flush made visible."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def test_writer_flushes_every_final() -> None:
    out = Lines()
    writer = ResultWriter(out, "txt", Transcript, "talk.wav")
    partial = Segment((Word("hel", 0, 1, 0.1),), False, 0, 1)
    writer.add(partial)
    assert out.flushed == []
    writer.add(speak("hello there"))
    writer.add(speak("again", 2.0))
    assert out.flushed == ["hello there\n", "hello there\nagain\n"]


def test_writer_marks_partials_in_jsonl() -> None:
    out = io.StringIO()
    writer = ResultWriter(out, "jsonl", Transcript, "talk.wav")
    words = speak("hello there you").words
    writer.add(Segment(words[:2], False, 0.0, 1.0, stable=1))
    writer.add(Segment(words, True, 0.0, 1.5, stable=3))
    writer.finish(transcript(Segment(words, True, 0.0, 1.5, stable=3)))
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["source"], first["final"], first["stable"]) == ("talk.wav", False, 1)
    assert second["final"] and second["text"] == "hello there you" and "stable" not in second


@pytest.mark.parametrize("format", formats(Transcript))
def test_writer_ends_with_what_the_file_has(format: str) -> None:
    spoken = transcript(speak(TEXT), speak("and that is all", start=20.0))
    out = io.StringIO()
    writer = ResultWriter(out, format, Transcript, spoken.source)
    for segment in spoken.segments:
        writer.add(segment)
    writer.finish(spoken)
    if format == "json":
        assert out.getvalue().count("\n") == 1
        assert parse_json(out.getvalue()) == parse_json(render(spoken, "json"))
    else:
        assert out.getvalue() == render(spoken, format)


def test_a_written_file_is_whole_and_public(tmp_path: Path) -> None:
    path = write(transcript(speak("hello")), tmp_path / "talk.txt")
    assert path.read_text() == "hello\n"
    assert os.listdir(tmp_path) == ["talk.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_full_disk_leaves_nothing_and_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "talk.txt"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(transcript(speak("new")), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["talk.txt"]


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "talk.txt") as file:
        file.write("half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for _ in range(2):
        with atomic_write(tmp_path / "link", "wb") as file:
            file.write(b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"data"
    with atomic_write("/dev/null") as file:
        file.write("gone")
    assert not Path("/dev/null").is_file()


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_standard_output_by_name(tmp_path: Path, kind: str) -> None:
    code = "from transducer.atomic import atomic_write as a\nwith a('/dev/stdout') as f: f.write('row\\n')"
    environment = {**os.environ, "PYTHONPATH": str(Path(transducer.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    if kind == "file":
        with open(tmp_path / "out", "wb") as out:
            subprocess.run(command, stdout=out, env=environment, check=True)
        assert (tmp_path / "out").read_text() == "row\n"
    else:
        assert subprocess.run(command, capture_output=True, env=environment, check=True).stdout == b"row\n"


def test_names_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    path = write(Transcript((), 1.0, name), tmp_path / "talk.json")
    assert parse_json(path.read_text()).source == name


# --- underlined words, paragraphs, long recordings


@given(transcripts())
@SOME
def test_underlined_words_last_as_long_as_their_cue(spoken: Transcript) -> None:
    cues = make_cues(spoken)
    parts = list(light_words(cues, spoken))
    for cue in cues:
        own = [part for part in parts if cue.start <= part.start < cue.end]
        assert {part.lines for part in own} == {cue.lines}
        assert (own[0].start, own[-1].end) == (cue.start, cue.end)
        assert all(before.end == after.start for before, after in itertools.pairwise(own))
    known = {word.text for word in spoken_words(spoken)}
    assert {part.lines[part.lit[0]][part.lit[1] : part.lit[2]] for part in parts} <= known


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_karaoke_underlines_each_word_while_it_is_said(format: str) -> None:
    spoken = transcript(speak("tea & two", 1.0, rate=5.0))
    read = pysubs2.SSAFile.from_string(render(spoken, format, karaoke=True), format_=format, keep_html_tags=True)
    amp = "&amp;" if format == "vtt" else "&"
    assert [cue.text for cue in read] == [f"<u>tea</u> {amp} two", f"tea <u>{amp}</u> two", f"tea {amp} <u>two</u>"]
    assert [cue.start for cue in read] == [1000, 1800, 2200]


def test_paragraphs_are_parted_by_an_empty_line() -> None:
    spoken = transcript(speak("one", 1.0), speak("two", 2.0), Segment((), True, 2.5, 2.5), speak("three", 9.0))
    assert render(spoken, "txt", paragraphs=True) == "one\ntwo\n\nthree\n"
    assert render(spoken, "txt") == "one\ntwo\nthree\n"


def test_subtitles_go_on_after_100_hours() -> None:
    late = transcript(speak("early", 359_998.5, rate=10.0), speak("late", 360_005.0, rate=10.0))
    assert "\n100:00:05.000 --> 100:00:05.833\nlate\n" in render(late, "vtt")
    assert "\n99:59:58,500 --> 99:59:59,333\nearly\n" in render(late, "srt")
    assert "\n100:00:05,000 --> 100:00:05,833\nlate\n" in render(late, "srt")


# --- any result


def test_the_suffix_says_the_format(tmp_path: Path) -> None:
    spoken = transcript(speak("hello"))
    assert transducer.write(spoken, tmp_path / "talk.SRT").read_text() == render(spoken, "srt")
    assert write(spoken, tmp_path / "talk.doc", "txt").read_text() == "hello\n"
    assert write(spoken, tmp_path / "talk.json", indent=None).read_text().count("\n") == 1
    for name in ("talk", "talk.doc", ".txt"):
        with pytest.raises(UsageError, match=r"end it with one of \.txt, .*or give the format"):
            write(spoken, tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["talk.SRT", "talk.doc", "talk.json"]


def test_options_of_other_formats_are_refused() -> None:
    with pytest.raises(UsageError, match="vtt has no option 'paragraphs'; it takes karaoke"):
        render(transcript(), "vtt", paragraphs=True)
    with pytest.raises(UsageError, match="tsv has no option 'indent'; it takes none"):
        ResultWriter(io.StringIO(), "tsv", Transcript, "a", indent=None)


def test_a_format_of_ones_own(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Count:
        source: str
        number: int

    register(Count, {"num": row_format(lambda source: lambda item: f"{source} {item}\n", lambda c: range(c.number))})
    assert write(Count("a", 2), tmp_path / "x.num").read_text() == "a 0\na 1\n"


def test_times_are_rounded_where_results_are_made() -> None:
    word = Word("a", 0.1 + 0.37, 2.3400000000000003, 0.5)
    assert (word.start, word.end) == (0.47, 2.34)
    assert Segment((), True, 0.1 + 0.2, 1 / 3).end == 0.333333
    assert Event("cut", 0.1 + 0.2, 1.1 + 2.2, 0, 1, 1.0) == Event("cut", 0.3, 3.3, 0, 1, 1.0)
    assert Scene("shot", 0.1 + 0.2, 1.1 + 2.2, 0, 1, 1.0).start == 0.3
    assert Transcript((), 0.1 + 0.2).duration == 0.3
    labelling = Labelling("a", 30000 / 1001, 2, 0.1 + 0.2, (), (), frame_times=(0.0, 1001 / 30000))
    assert (labelling.fps, labelling.duration, labelling.frame_times) == (30000 / 1001, 0.3, (0.0, 0.033367))
