"""`transducer label`: a file a scene, and shots of some length."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import av
import fake_label_model
import pytest
from command_line import error_line
from contact_sheet import write_video
from hypothesis import given
from hypothesis import strategies as st

import transducer
from transducer.cli import main
from transducer.cli.long_scenes import LongScenes
from transducer.cli.sessions import listing
from transducer.results import Event


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(vars(transducer), "load", fake_label_model.load)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def label(*arguments: str) -> int:
    return main(["label", "--model", "labels", *arguments])


def images(path: Path) -> list:
    from transducer.media.video.reader import open_video

    with open_video(path) as reader:
        return [frame.image for frame in reader]


def test_pictures_and_videos_of_scenes(folder, capsys):
    write_video(folder / "clip.mp4", 40, (320, 180))  # red, and blue from frame 20 on
    assert label("clip.mp4", "--images", "pictures", "--split", "new/videos") == 0
    assert capsys.readouterr().err == ""
    assert sorted(os.listdir("pictures")) == ["clip-001.jpg", "clip-002.jpg"]
    assert sorted(os.listdir("new/videos")) == ["clip-001.mp4", "clip-002.mp4"]
    for number, colour in ((1, 0), (2, 2)):
        (picture,) = images(folder / "pictures" / f"clip-00{number}.jpg")
        video = images(folder / "new" / "videos" / f"clip-00{number}.mp4")
        assert picture.shape == (180, 320, 3) and len(video) == 20
        assert {int(image.mean((0, 1)).argmax()) for image in (picture, *video)} == {colour}


def test_scenes_of_several_sources_and_of_a_pipe(folder, capsys, monkeypatch):
    data = write_video(folder / "clip.mp4", 10).read_bytes()
    (folder / "in").mkdir()
    (folder / "in" / "clip.mkv").write_bytes(data)
    assert label("clip.mp4", "in/clip.mkv", "--images", "out", "--json") == 0
    assert sorted(os.listdir("out")) == [f"clip.{kind}-00{k}.jpg" for kind in ("mkv", "mp4") for k in (1, 2)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert label("-", "--split", "piped") == 0
    assert sorted(os.listdir("piped")) == ["stdin-001.mkv", "stdin-002.mkv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rtsp://camera/door", "--split", "out"], "--split needs sources that can be read twice"),
        (["one.mp4", "--images", "one.mp4"], "one.mp4: not a folder; --images needs one"),
        (["one.mp4", "more/one.mp4", "--split", "out", "--json"], "would both be written to out/one.mp4"),
        (["one.mp4", "--min-scene", "long"], "--min-scene 'long' is no time"),
        (["one.mp4", "--min-scene", "0"], "--min-scene must be more than 0"),
    ],
)
def test_wrong_usage(folder, capsys, arguments, message):
    for name in ("one.mp4", "more/one.mp4"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("frames 10\n")
    assert label(*arguments) == 2
    assert message in error_line(capsys)


@pytest.mark.parametrize("given", [[], ["--start-timecode", "20:00:00:00"]])
def test_edits_begin_with_the_timecode_of_the_source(folder, capsys, given):
    clip = write_video(folder / "clip.mov", 10)
    with av.open(str(clip)) as old, av.open("timed.mov", "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        stream.metadata["timecode"] = "10:00:00:00"
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    assert label("timed.mov", "-f", "edl", *given) == 0
    begin = "20" if given else "10"
    assert f" {begin}:00:00:00 {begin}:00:00:05 " in capsys.readouterr().out
    assert label("timed.mov", "--json", *given) == 0
    assert f'"start_timecode": "{begin}:00:00:00"' in capsys.readouterr().out
    assert label("clip.mov", "-f", "edl") == 0
    assert " 00:00:00:00 00:00:00:05 " in capsys.readouterr().out


def test_transitions_that_come_too_soon_are_left_out(folder, capsys):
    (folder / "one.mp4").write_text("cut 9 10 0.9\ndissolve 49 60 0.8\ncut 70 71 0.7\ncut 85 86 0.9\nframes 100\n")
    assert label("one.mp4", "--min-scene", "0.9") == 0
    shown = capsys.readouterr().out
    assert [line.split()[2:4] for line in shown.splitlines()] == [
        ["0-49", "shot"],
        ["49-60", "dissolve"],
        ["60-85", "shot"],
        ["85-86", "cut"],
        ["86-99", "shot"],
    ]
    assert label("one.mp4", "--min-scene", "0.9", "--output", "x.txt") == 0
    assert (folder / "x.txt").read_text() == shown


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12),
    st.integers(1, 50),
    st.sampled_from((0.04, 0.5, 1.0, 100.0)),
)
def test_no_shot_but_the_last_is_shorter(gaps: list[tuple[int, int]], rest: int, least: float) -> None:
    lines, frame = [], 0
    for gap, length in gaps:
        lines.append(f"dissolve {frame + gap} {frame + gap + length} 0.9")
        frame += gap + length
    session = fake_label_model.FakeLabelSession(iter([*lines, f"frames {frame + rest}"]), "a", frames=False)
    long = LongScenes(session, least)
    listed = list(listing(long))
    result = long.result()
    assert [item for item in listed if isinstance(item, Event)] == list(result.events)
    assert [item for item in listed if not isinstance(item, Event)] == list(result.segments) == long.scenes
    assert set(result.events) <= set(session.result().events)
    edges = [0, *(frame for event in result.events for frame in (event.start_frame, event.end_frame))]
    assert [frame for scene in result.segments for frame in (scene.start_frame, scene.end_frame)] == [
        *edges,
        frame + rest - 1,
    ]
    for scene, event in zip(result.segments, result.events, strict=False):
        assert event.start - scene.start >= least
