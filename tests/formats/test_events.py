"""Formats of labellings, read back by the libraries of the programs that they are for."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import pysubs2
import pytest
from contact_sheet import Page, write_video
from fake_label_model import LABELS, event, shots
from hypothesis import given, settings
from hypothesis import strategies as st

from transducer.errors import UsageError
from transducer.formats import check_format, formats, render, write
from transducer.formats.events.edits import make_edits
from transducer.formats.events.sheet import Thumbnail, render_html, thumbnail_size, wanted_frames
from transducer.formats.events.timecode import exact_rate, parse_timecode, source_timecode, timecode_rate
from transducer.results import Event, Labelling, Scene

SOME = settings(max_examples=40)
NTSC = 30000 / 1001
FILM = 24000 / 1001


def film(events: list[tuple[str, int, int]], frames: int, fps: float = 25.0, source: str = "my clip.mp4") -> Labelling:
    """A video in shots."""
    found = [event(label, start, end, 0.9, fps) for label, start, end in events]
    return Labelling(
        source, fps, frames, frames / fps, tuple(found), shots(found, frames, fps), (), "transitions", LABELS
    )


def spans(source: str = "swing.mp4") -> Labelling:
    """A video of events that overlap."""
    events = (Event("swing", 0.4, 1.2, 10, 29, 0.8), Event("impact", 0.8, 0.88, 20, 21, 0.7))
    scenes = (
        Scene("", 0.0, 0.4, 0, 9, 1.0),
        Scene("swing", 0.4, 1.2, 10, 29, 0.8),
        Scene("", 1.2, 2.0, 30, 49, 1.0),
    )
    return Labelling(source, 25.0, 50, 2.0, events, scenes, (), "spans", ("", "swing", "impact"))


MIXED = [("cut", 47, 48), ("dissolve", 99, 112), ("wipe", 150, 160), ("fade", 200, 220)]
NOTHING = Labelling("empty.mp4", 25.0, 0, 0.0, (), ())
STILL = film([], 1)


@st.composite
def films(draw: st.DrawFn) -> Labelling:
    """Any transitions after each other, shots of at least a frame between them, at any usual rate."""
    events, frame = [], 0
    for label, length in draw(st.lists(st.tuples(st.sampled_from(LABELS[1:]), st.integers(1, 400)), max_size=12)):
        start = frame + draw(st.integers(0, 200))
        events.append((label, start, start + (1 if label == "cut" else length)))
        frame = events[-1][2]
    fps = draw(st.sampled_from((FILM, 24.0, 25.0, NTSC, 30.0, 50.0, 60000 / 1001, 60.0, 12.5, 240.0)))
    return film(events, frame + draw(st.integers(1, 300)), fps)


# --- JSON and tables


def test_json_keys() -> None:
    data = json.loads(render(film([("cut", 9, 10)], 20), "json"))
    assert list(data) == ["source", "fps", "frames", "events", "segments"]
    assert (data["source"], data["fps"], data["frames"]) == ("my clip.mp4", 25.0, 20)
    assert data["events"] == [
        {"label": "cut", "start": 0.36, "end": 0.4, "start_frame": 9, "end_frame": 10, "score": 0.9}
    ]
    assert data["segments"][1] == {
        "label": "shot", "start": 0.4, "end": 0.8, "start_frame": 10, "end_frame": 19, "score": 1.0
    }  # fmt: skip


@pytest.mark.parametrize("fps", [FILM, NTSC, 60000 / 1001, 1000.0])
def test_json_times_lead_back_to_frames(fps: float) -> None:
    labelling = film([("cut", k, k + 1) for k in range(100_000, 100_400, 7)], 200_000, fps)
    data = json.loads(render(labelling, "json"))
    for item in data["events"]:
        assert round(item["start"] * fps) == item["start_frame"] and round(item["end"] * fps) == item["end_frame"]


def with_frames(indent: int | None) -> dict:
    scores = ((0.7, 0.3, 0.0), (0.2, 0.75, 0.05))
    labelling = Labelling(
        "a.mp4", 25.0, 2, 0.08, (), (), ("a.mp4: damaged",), "spans", ("", "x", "y"), (0.0, 0.04), scores
    )
    from transducer.formats.events.document import render_json

    written = "".join(render_json(labelling, indent))
    assert written.count("\n") == (1 if indent is None else written.rstrip().count("\n") + 1)
    return json.loads(written)


@pytest.mark.parametrize("indent", [None, 2])
def test_json_of_frames(indent: int | None) -> None:
    data = with_frames(indent)
    assert list(data)[5:] == ["warnings", "labels", "frame_labels", "frame_times", "frame_scores"]
    assert data["labels"] == ["", "x", "y"] and data["frame_labels"] == ["", "x"]
    assert data["frame_times"] == [0.0, 0.04] and data["frame_scores"][1] == [0.2, 0.75, 0.05]


def test_jsonl_is_an_event_a_line() -> None:
    rows = [json.loads(line) for line in render(film(MIXED, 300), "jsonl").splitlines()]
    assert [(row["label"], row["start_frame"], row["end_frame"]) for row in rows] == MIXED
    assert {row["source"] for row in rows} == {"my clip.mp4"}


def test_tables_hold_the_same() -> None:
    labelling = film([*MIXED, ('a "b",\tc', 260, 261)], 300)
    table = list(csv.DictReader(io.StringIO(render(labelling, "csv"))))
    assert [row["type"] for row in table] == ["event"] * 5 + ["segment"] * 6
    assert table[4]["label"] == 'a "b",\tc' and table[1]["start"] == "3.960000"
    rows = [line.split("\t") for line in render(labelling, "tsv").splitlines()]
    assert rows[0] == list(table[0]) and {len(row) for row in rows} == {7}
    assert [row[2:] for row in rows[1:]] == [list(row.values())[2:] for row in table]


def test_table_of_frames() -> None:
    labelling = Labelling("a.mp4", 25.0, 2, 0.1, (), (), (), "spans", ("", "x"), (0.0, 0.04), ((0.7, 0.3), (0.2, 0.8)))
    assert render(labelling, "csv").splitlines()[1:] == [
        "frame,,0.000000,0.040000,0,0,0.7000",
        "frame,x,0.040000,0.100000,1,1,0.8000",
    ]


def test_listing() -> None:
    assert render(film([("cut", 9, 10), ("fade", 49, 60)], 90_100), "txt").splitlines() == [
        "0:00:00.000  0:00:00.400              0-9  shot",
        "0:00:00.360  0:00:00.400             9-10  cut         0.90",
        "0:00:00.400  0:00:02.000            10-49  shot",
        "0:00:01.960  0:00:02.400            49-60  fade        0.90",
        "0:00:02.400  1:00:04.000         60-90099  shot",
    ]
    assert [line.split()[3] for line in render(spans(), "txt").splitlines()] == ["swing", "impact"]


# --- subtitles


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles(format: str) -> None:
    file = pysubs2.SSAFile.from_string(render(film(MIXED, 300), format))
    assert [cue.plaintext for cue in file] == [
        "shot 1", "shot 2 (cut 0.90)", "[dissolve 0.90]", "shot 3", "[wipe 0.90]", "shot 4", "[fade 0.90]", "shot 5",
    ]  # fmt: skip
    for before, after in pairwise(file):
        assert before.end <= after.start + 40  # an effect has frames of its own; cues meet
    assert (file[1].start, file[1].end) == (1920, 4000)


def test_subtitles_of_events_and_odd_labels() -> None:
    labelling = Labelling("a", 25.0, 50, 2.0, (Event("a <b> & {c}\\N", 0.5, 0.5, 12, 12, 0.5),), (), (), "spans")
    assert "&lt;b&gt; &amp;" in render(labelling, "vtt")
    (cue,) = pysubs2.SSAFile.from_string(render(labelling, "srt"))
    assert cue.end > cue.start and "{c}" in cue.text


# --- timecode and EDL


@pytest.mark.parametrize(
    ("fps", "frame", "expected"),
    [
        (24.0, 24 * 3600, "01:00:00:00"),
        (FILM, 24 * 3600, "01:00:00:00"),  # 23.976 has no drop frames
        (25.0, 25 * 61 + 3, "00:01:01:03"),
        (NTSC, 1799, "00:00:59;29"),
        (NTSC, 1800, "00:01:00;02"),
        (NTSC, 17981, "00:09:59;29"),
        (NTSC, 17982, "00:10:00;00"),
        (NTSC, 107892, "01:00:00;00"),
        (29.97, 1800, "00:01:00;02"),
        (30.0, 1800, "00:01:00:00"),
        (60000 / 1001, 3600, "00:01:00;04"),
        (60000 / 1001, 35964, "00:10:00;00"),
        (60.0, 3600, "00:01:00:00"),
        (50.0, 49, "00:00:00:49"),
        (25.0, 25 * 86400, "00:00:00:00"),
    ],
)
def test_timecode(fps: float, frame: int, expected: str) -> None:
    assert timecode_rate(fps).timecode(frame) == expected


@given(st.integers(0, 24 * 107892 - 2), st.sampled_from((NTSC, 60000 / 1001)))
def test_dropped_timecodes_are_read_back(frame: int, fps: float) -> None:
    from opentimelineio.opentime import from_timecode

    timecode = timecode_rate(fps).timecode(frame)
    assert from_timecode(timecode, fps).value == frame


@pytest.mark.parametrize(("measured", "exact"), [(23.976, FILM), (29.97, NTSC), (25.0004, 25.0), (12.5, 12.5)])
def test_rates_are_taken_as_they_are_meant(measured: float, exact: float) -> None:
    assert exact_rate(measured) == exact


ROW = re.compile(
    r"(\d{3,})  ([A-Z0-9]{1,8}) +V     (C|D|W001) +(\d{3})? +"
    r"(\d\d:\d\d:\d\d[:;]\d\d) (\d\d:\d\d:\d\d[:;]\d\d) (\d\d:\d\d:\d\d[:;]\d\d) (\d\d:\d\d:\d\d[:;]\d\d)"
)


@given(films())
@SOME
def test_edl_has_the_layout_of_cmx_and_every_frame_once(labelling: Labelling) -> None:
    lines = render(labelling, "edl").splitlines()
    rate = timecode_rate(labelling.fps)
    assert lines[0] == "TITLE: my clip"
    assert lines[1] == ("FCM: DROP FRAME" if rate.drop else "FCM: NON-DROP FRAME")
    rows = [ROW.fullmatch(line).groups() for line in lines[3:] if not line.startswith("* ")]
    # Columns: the event at 0, the reel at 5, the track at 14, the edit at 20, its length at 25, timecodes from 29.
    assert {line.index(row[4]) for line, row in zip([x for x in lines[3:] if x[0] != "*"], rows, strict=True)} == {29}
    clock = rate.timecode(0)
    for number, reel, kind, length, start, end, record_start, record_end in rows:
        assert reel == "MYCLIP" and (start, end) == (record_start, record_end) and start == clock
        assert (kind == "C") == (length is None) and (length is None or int(length) <= 255)
        clock = end
        assert int(number) <= len(labelling.segments)
    last = labelling.frames if rate.native else max(round(labelling.duration * rate.fps), 1)
    assert clock == rate.timecode(last)


@pytest.mark.parametrize("fps", [FILM, 24.0, 25.0, NTSC, 30.0, 50.0, 60000 / 1001, 60.0])
def test_edl_is_read_by_opentimelineio(fps: float) -> None:
    otio = pytest.importorskip("opentimelineio")
    pytest.importorskip("otio_cmx3600_adapter")
    written = render(film([*MIXED, ("cut", 2000, 2001), ("cut", 20_000, 20_001)], 40_000, fps), "edl")
    timeline = otio.adapters.read_from_string(written, adapter_name="cmx_3600", rate=fps)
    (track,) = timeline.tracks
    clips = [item for item in track if isinstance(item, otio.schema.Clip)]
    effects = [item for item in track if isinstance(item, otio.schema.Transition)]
    starts = [round(clip.source_range.start_time.value) for clip in clips]
    assert starts == [0, 48, 100, 151, 201, 2001, 20_001]
    assert sum(round(clip.source_range.duration.value) for clip in clips) == 40_000
    assert [round(effect.out_offset.value) for effect in effects] == [12, 9, 19]
    assert [effect.transition_type for effect in effects] == ["SMPTE_Dissolve", "SMPTE_Wipe", "SMPTE_Dissolve"]
    assert {clip.name for clip in clips} == {"my clip.mp4"}
    assert round(track.range_of_child_at_index(len(track) - 1).end_time_exclusive().value) == 40_000


@pytest.mark.parametrize(
    ("fps", "start", "frames"),
    [
        (25.0, "01:00:00:00", 90_000),
        (FILM, "10:00:00:00", 864_000),
        (NTSC, "01:00:00;00", 107_892),
        (NTSC, "01:00:00:00", 108_000),  # 29.97 without drop frames
        (NTSC, "00:59:59;29", 107_891),
        (60000 / 1001, "00:10:00;00", 35_964),
    ],
)
def test_the_start_timecode_of_the_source_is_where_edits_begin(fps: float, start: str, frames: int) -> None:
    otio = pytest.importorskip("opentimelineio")
    pytest.importorskip("otio_cmx3600_adapter")
    labelling = replace(film([("cut", 1799, 1800), ("cut", 17_981, 17_982)], 40_000, fps), start_timecode=start)
    written = render(labelling, "edl")
    assert ("FCM: DROP FRAME" in written) == (";" in start) and f" {start} " in written
    (track,) = otio.adapters.read_from_string(written, adapter_name="cmx_3600", rate=fps).tracks
    assert [round(clip.source_range.start_time.value) - frames for clip in track] == [0, 1800, 17_982]
    timeline = otio.adapters.read_from_string(render(labelling, "otio"), adapter_name="otio_json")
    clips = list(timeline.find_clips())
    assert [clip.source_range.start_time.value - frames for clip in clips] == [0, 1800, 17_982]
    assert timeline.global_start_time == clips[0].available_range().start_time
    assert clips[0].available_range().duration.value == 40_000
    assert [marker.marked_range.start_time.value - frames for marker in clips[1].markers] == [1800]
    assert json.loads(render(labelling, "json"))["start_timecode"] == start


@given(st.integers(0, 24 * 107_892 - 1), st.sampled_from((NTSC, 60000 / 1001, 25.0, FILM)))
def test_timecodes_count_back_to_their_frames(frame: int, fps: float) -> None:
    rate = timecode_rate(fps)
    assert rate.timecode(rate.count(rate.timecode(frame))) == rate.timecode(frame)
    assert rate.count(rate.timecode(frame)) <= frame


@pytest.mark.parametrize(
    ("tag", "read"),
    [
        ("01:02:03:04", "01:02:03:04"),
        (" 01:02:03;04\n", "01:02:03;04"),
        ("01;02;03;04", "01:02:03;04"),
        ("01:02:03.04", "01:02:03;04"),
        ("24:00:00:00", None),
        ("00:60:00:00", None),
        ("1:2:3:4", None),
        ("", None),
        (None, None),
    ],
)
def test_timecodes_of_metadata(tag: str | None, read: str | None) -> None:
    assert source_timecode(tag) == read
    if read is None:
        with pytest.raises(UsageError, match="is no timecode; write hh:mm:ss:ff"):
            parse_timecode(tag or "")


def test_edl_of_long_and_unknown_transitions_has_cuts_in_their_middle() -> None:
    lines = render(film([("dissolve", 99, 400), ("morph", 500, 511)], 600), "edl").splitlines()
    rows = [ROW.fullmatch(line).groups() for line in lines[3:] if not line.startswith("* ")]
    assert [(row[2], row[4]) for row in rows] == [("C", "00:00:00:00"), ("C", "00:00:10:00"), ("C", "00:00:20:06")]
    assert "* COMMENT: dissolve, frames 99 to 400, score 0.90" in lines


def test_edl_of_a_video_too_fast_for_timecode_goes_by_the_clock() -> None:
    lines = render(film([("cut", 999, 1000)], 2000, 1000.0), "edl").splitlines()
    assert lines[3].endswith("00:00:00:00 00:00:01:00 00:00:00:00 00:00:01:00")
    assert "* COMMENT: TIMECODES COUNT 60 FRAMES A SECOND, THE VIDEO HAS 1000" in lines


def test_edl_of_varying_frame_rate_goes_by_the_clock() -> None:
    # 25 frames in the first second, 5 in each of the next four: 9 a second on average.
    scenes = (Scene("shot", 0.0, 1.0, 0, 24, 1.0), Scene("shot", 1.0, 5.0, 25, 44, 1.0))
    cut = Event("cut", 0.96, 1.0, 24, 25, 0.9)
    labelling = Labelling("phone.mp4", 9.0, 45, 5.0, (cut,), scenes, (), "transitions")
    assert [(edit.start, edit.end) for edit in make_edits(labelling, 9.0)] == [(0, 9), (9, 45)]


@pytest.mark.parametrize(
    ("source", "reel"), [("2024-05 Интервью.mov", "202405"), ("Интервью.mov", "AX"), ("a.b.mp4", "AB")]
)
def test_edl_reels_are_capitals_and_digits(source: str, reel: str) -> None:
    written = render(film([], 10, source=source), "edl")
    assert ROW.fullmatch(written.splitlines()[3]).group(2) == reel
    assert f"* FROM CLIP NAME: {source}\n" in written


# --- OpenTimelineIO


def read_otio(labelling: Labelling):
    otio = pytest.importorskip("opentimelineio")
    timeline = otio.adapters.read_from_string(render(labelling, "otio"), adapter_name="otio_json")
    assert isinstance(timeline, otio.schema.Timeline)
    return otio, timeline


@given(films())
@SOME
def test_otio_is_read_back_and_holds_every_frame_once(labelling: Labelling) -> None:
    otio, timeline = read_otio(labelling)
    (track,) = timeline.video_tracks()
    clips = list(track.find_clips())
    ends = [0.0]
    for clip in clips:
        assert clip.source_range.start_time.value == ends[-1]
        assert clip.source_range.start_time.rate == labelling.fps
        ends.append(clip.source_range.end_time_exclusive().value)
    assert ends[-1] == labelling.frames == timeline.duration().value
    marks = [marker for clip in clips for marker in clip.markers]
    assert [mark.name for mark in marks] == [found.label for found in labelling.events]
    for mark, found in zip(marks, labelling.events, strict=True):
        assert mark.marked_range.start_time.value == found.start_frame + 1
        assert mark.marked_range.duration.value == max(found.end_frame - found.start_frame - 1, 1)
    for transition in (item for item in track if isinstance(item, otio.schema.Transition)):
        found = transition.metadata["transducer"]
        # Handles of both sides come from the video itself.
        before, after = track.neighbors_of(transition)
        cut = after.source_range.start_time.value
        assert cut - transition.in_offset.value == found["start_frame"] + 1
        assert cut + transition.out_offset.value == found["end_frame"]
        assert before.source_range.duration.value >= transition.in_offset.value


def test_otio_is_written_as_the_library_would_write_it() -> None:
    otio, timeline = read_otio(film(MIXED, 300))

    def schemas(item: object) -> set[str]:
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        own = {item["OTIO_SCHEMA"]} if isinstance(item, dict) and "OTIO_SCHEMA" in item else set()
        return own.union(*map(schemas, children))

    ours = json.loads(render(film(MIXED, 300), "otio"))
    theirs = json.loads(otio.adapters.write_to_string(timeline, "otio_json"))
    assert schemas(ours) == schemas(theirs)


def test_otio_refers_to_the_file_and_marks_events() -> None:
    otio, timeline = read_otio(spans("a folder/Käse #1.mp4"))
    clips = list(timeline.find_clips())
    assert [clip.name for clip in clips] == ["background 1", "swing 2", "background 3"]
    assert [(m.name, m.marked_range.start_time.value, m.marked_range.duration.value) for m in clips[1].markers] == [
        ("swing", 10, 20),
        ("impact", 20, 2),
    ]
    address = clips[0].media_reference.target_url
    assert otio.url_utils.filepath_from_url(address) == str(Path("a folder/Käse #1.mp4").absolute())
    _, piped = read_otio(film([], 5, source="standard input"))
    assert piped.find_clips()[0].media_reference.is_missing_reference


# --- chapters


def chapters(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"].get("title", ""))
            for c in container.chapters()
        ]


def test_chapters_are_read_by_ffmpeg(tmp_path: Path) -> None:
    path = write(film(MIXED, 300), tmp_path / "clip.ffmetadata")
    assert chapters(path) == [
        (0.0, 1.92, "shot 1"),
        (1.92, 4.48, "shot 2"),
        (4.48, 6.4, "shot 3"),
        (6.4, 8.8, "shot 4"),
        (8.8, 12.0, "shot 5"),
    ]


def test_chapter_titles_may_hold_anything(tmp_path: Path) -> None:
    label = "a=b; #c \\ d\ne [CHAPTER] 'ü'"
    labelling = Labelling("a", 25.0, 50, 2.0, (), (Scene(label, 0.0, 2.0, 0, 49, 0.5),), (), "spans")
    path = write(labelling, tmp_path / "a.ffmetadata")
    assert chapters(path) == [(0.0, 2.0, label)]


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs the ffmpeg program")
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_chapters_go_into_a_video(tmp_path: Path, suffix: str) -> None:
    clip = tmp_path / f"clip.{suffix}"
    write_video(clip, 100)
    meta = write(film([("cut", 39, 40)], 100), tmp_path / "clip.ffmetadata")
    out = tmp_path / f"out.{suffix}"
    command = ["ffmpeg", "-v", "error", "-i", clip, "-i", meta, "-map_metadata", "1", "-codec", "copy", out]
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL)
    assert chapters(out) == [(0.0, 1.6, "shot 1"), (1.6, 4.0, "shot 2")]


# --- the contact sheet


def test_sheet_has_all_that_is_wanted_and_loads_nothing() -> None:
    labelling = film(MIXED, 300)
    frames = wanted_frames(labelling)
    assert {0, 47, 48, 99, 112, 299} <= set(frames)  # both sides of everything
    page = Page("".join(render_html(labelling, (Thumbnail(frame, b"%d" % frame) for frame in frames))))
    assert page.images == [(f"frame {frame}", b"%d" % frame) for frame in frames]
    assert page.sections == ["s1", "s2", "s3", "s4", "s5"] and page.links == [f"#s{k}" for k in range(1, 6)]
    for part in ("0:00:03.960 – 0:00:04.480", "frames 99–112", "dissolve", "0.90", "5 shots"):
        assert part in page.words


def test_sheet_without_pictures_and_with_markup_in_names() -> None:
    events = (Event('<b onclick="x">', 0.4, 1.2, 10, 29, 0.8),)
    labelling = Labelling("<title>&.mp4", 25.0, 50, 2.0, events, (), ("<damaged>",), "spans", ("",))
    page = Page("".join(render_html(labelling)))
    assert not page.images and "<title>&.mp4" in page.words and "<damaged>" in page.words


@given(films())
@SOME
def test_sheet_takes_pictures_in_order_and_few(labelling: Labelling) -> None:
    frames = wanted_frames(labelling)
    assert frames == sorted(set(frames)) and frames[-1] < labelling.frames
    taken = []

    def pictures():
        for frame in frames[::2]:  # some cannot be had
            taken.append(frame)
            yield Thumbnail(frame, b"x")

    page = Page("".join(render_html(labelling, pictures())))
    assert len(page.images) == len(frames[::2]) == len(taken)
    assert len(frames) <= 3 * len(labelling.events) + 6 * len(labelling.segments)


def test_sheet_of_a_long_film_stays_of_a_size() -> None:
    labelling = film([("cut", 10 * k + 9, 10 * k + 10) for k in range(8000)], 80_010)
    assert len(wanted_frames(labelling)) <= 8001
    assert sum(len(piece) for piece in render_html(labelling)) < 8e6


@pytest.mark.parametrize(
    ("video", "size"), [((1920, 1080), (108, 192)), ((1080, 1920), (108, 61)), ((1, 1), (1, 1)), ((7680, 20), (1, 192))]
)
def test_thumbnails_fit_into_their_box(video: tuple[int, int], size: tuple[int, int]) -> None:
    assert thumbnail_size(*video) == size


# --- all of them


@pytest.mark.parametrize("format", formats(Labelling))
@pytest.mark.parametrize("labelling", [NOTHING, STILL, spans(), film(MIXED, 300)], ids=["no", "one", "spans", "shots"])
def test_every_format_takes_every_labelling(tmp_path: Path, labelling: Labelling, format: str) -> None:
    path = write(labelling, tmp_path / f"x.{format}")
    assert path.read_text() == render(labelling, format)


def test_unknown_format() -> None:
    assert check_format(".JSON", Labelling) == "json"
    with pytest.raises(UsageError, match="unknown format 'doc'; there are txt, json"):
        check_format("doc", Labelling)
