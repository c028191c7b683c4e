"""Clips of a table: which steps an event has, clips decoded once, and the examples that are made of them."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_media.balls import make, write_clip
from transducer.data.augment.clips import ClipAugment
from transducer.data.clips import decode_clips, event_frames, frame_labels
from transducer.data.item import Mark
from transducer.data.pairs import fixed_pair
from transducer.data.table import Table, read_table
from transducer.data.table_pairs import TablePairs
from transducer.errors import MediaError, TransducerError, UsageError
from transducer.media.audiovisual import FramesAndSamples
from transducer.media.video.medium import Frames


def table(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, **options: object) -> Table:
    return read_table(path, check_media=False, **options)


# --- events and frames


@given(
    st.integers(1, 40),
    st.sampled_from([24.0, 25.0, 30000 / 1001, 60.0]),
    st.floats(0, 2),
    st.data(),
)
def test_events_in_seconds_are_those_in_frames(count, fps, origin, data):
    times = [origin + number / fps for number in range(count)]
    first = data.draw(st.integers(0, count - 1))
    last = data.draw(st.integers(first, count - 1))
    shown = Mark("x", times[first], times[last] + 1 / fps, False, 1)  # as `label` tells of the frames first to last
    assert event_frames(shown, times, fps) == (first, last)
    assert event_frames(Mark("x", first, last, True, 1), times, fps) == (first, last)
    assert event_frames(Mark("x", times[first], None, False, 1), times, fps) == (first, first)
    start = data.draw(st.floats(0, times[-1]))
    brief = event_frames(Mark("x", start, start + 1e-4, False, 1), times, fps)
    assert 0 <= brief[0] == brief[1] < count  # never without a frame


def test_labels_of_frames(tmp_path):
    times = [number / 10 for number in range(20)]
    path = table(tmp_path, "clip,start,end,label\na,0.2,0.5,x\na,0.5,0.8,y\na,1.5,,x\n")
    found = frame_labels(read(path).items[0], {"x": 1, "y": 2}, times, 10)
    assert found.tolist() == [0, 0, 1, 1, 1, 2, 2, 2] + [0] * 7 + [1] + [0] * 4
    wide = frame_labels(read(path).items[0], {"x": 1, "y": 2}, times, 10, widen=2)
    assert np.flatnonzero(wide != found).tolist() == [13, 14, 16, 17]
    path = table(tmp_path, "clip,start,end,label\na,0.2,0.9,x\na,0.5,0.7,y\n")
    found = frame_labels(read(path, overlaps="later").items[0], {"x": 1, "y": 2}, times, 10)
    assert found.tolist() == [0, 0, 1, 1, 1, 2, 2, 1, 1] + [0] * 11


# --- clips


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    pictures = np.random.default_rng(0).integers(0, 256, (30, 32, 48, 3)).astype(np.uint8)
    for name, frames in (("a.mp4", 30), ("b.mp4", 20), ("c.mkv", 10)):
        write_clip(folder / name, pictures[:frames])
    (folder / "text.mp4").write_text("no video at all")
    with av.open(str(folder / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return folder


def decode(clips_of: Table, folder: Path, **options: object) -> list:
    return decode_clips(clips_of, Frames(16, 24), folder, **options)


def test_clips_are_decoded_once(clips, tmp_path, monkeypatch):
    rows = read_table(table(clips, "clip,start,end,label\na.mp4,0.2,0.4,x\nb.mp4,,,\n"))
    found = decode(rows, tmp_path)
    assert [len(clip) for clip in found] == [30, 20] and found[0].inputs().shape == (30, 16, 24, 3)
    assert found[0].times[5] == pytest.approx(0.2) and found[0].fps == 25
    monkeypatch.setattr(Frames, "open", None)
    again = decode(rows, tmp_path)
    assert np.array_equal(again[0].inputs(), found[0].inputs()) and again[1].times == found[1].times


def test_labels_that_do_not_fit_their_clip_are_told(clips, tmp_path):
    def told(text: str, name: str = "t.csv") -> str:
        with pytest.raises(UsageError) as error:
            decode(read_table(table(clips, text, name)), tmp_path)
        return str(error.value).removeprefix(str(clips / name))

    head = "clip,start,end,label\nb.mp4,0,0.8,x\n"
    assert told(head + "a.mp4,1.0,2,x\n") == (
        ", line 3: the event 'x' at second 1 to 2 is outside the clip: a.mp4 is 1.20 seconds long"
    )
    assert ", line 3: the event 'x' at second 1.2 is outside" in told(head + "a.mp4,1.2,,x\n")
    assert told("clip,start_frame,end_frame,label\na.mp4,20,30,x\n") == (
        ", line 2: the event 'x' at frame 20 to 30 is outside the clip: a.mp4 has 30 frames, 0 to 29"
    )
    assert told(json.dumps({"path": "a.mp4", "labels": ["x"] * 29}), "t.jsonl") == (
        ", line 1: 29 labels for the 30 steps of a.mp4, 25 a second: there must be one for each"
    )


@pytest.mark.parametrize("name", ["text.mp4", "sound.wav"])
def test_clips_that_cannot_be_read_are_named_and_can_be_skipped(clips, tmp_path, name):
    text = f"clip,label\na.mp4,x\n{name},x\nb.mp4,y\n"
    rows = read_table(table(clips, text))
    with pytest.raises(MediaError, match=f"t.csv, line 3: .*{name}"):
        decode(rows, tmp_path)
    said: list[str] = []
    found = decode(rows, tmp_path, on_error="skip", warn=said.append)
    assert [clip.clip.name for clip in found] == ["a.mp4", "b.mp4"]
    assert len(said) == 1 and "line 3" in said[0] and said[0].endswith("; the clip is skipped")
    with pytest.raises(UsageError, match="no clip is left"):
        decode(read_table(table(clips, f"clip,label\n{name},x\n")), tmp_path, on_error="skip")
    with pytest.raises(UsageError, match="on_error is 'ignore': it must be 'fail' or 'skip'"):
        decode(rows, tmp_path, on_error="ignore")
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


# --- examples


def test_pieces_cover_the_clips_and_labels_go_with_the_frames(clips, tmp_path):
    text = "clip,start_frame,end_frame,label\na.mp4,3,8,x\na.mp4,20,29,y\nb.mp4,,,\n"
    rows = read_table(table(clips, text))
    decoded, numbers = decode(rows, tmp_path), {"x": 1, "y": 2}
    plain = TablePairs(decoded, numbers, window=12)
    pairs = [fixed_pair(plain, index) for index in range(len(plain))]
    assert [len(pair.x) for pair in pairs] == [12, 12, 6, 12, 8] and plain.frames == 50
    whole = np.concatenate([pair.x for pair in pairs[:3]])
    assert np.array_equal(whole, decoded[0].inputs().reshape(30, -1))
    labels = np.concatenate([pair.y for pair in pairs])
    assert np.flatnonzero(labels == 1).tolist() == list(range(3, 9))
    assert plain.counts().tolist() == [34, 6, 10] and plain.runs() == {1: [6], 2: [10]}
    other = TablePairs(decoded, numbers, 12, ClipAugment())
    assert other.fingerprint != plain.fingerprint == TablePairs(decoded, numbers, 12).fingerprint
    for index in range(len(other)):
        pair = other.pair(index, np.random.default_rng(index))
        assert pair.x.dtype == np.uint8 and 1 <= len(pair.x) == len(pair.y) <= 12
        again = other.pair(index, np.random.default_rng(index))
        assert np.array_equal(pair.x, again.x) and np.array_equal(pair.y, again.y)


def test_speed_keeps_labels_with_their_frames(clips, tmp_path):
    rows = read_table(table(clips, "clip,start_frame,end_frame,label\na.mp4,10,19,x\n"))
    decoded = decode(rows, tmp_path)
    source = TablePairs(decoded, {"x": 1}, 100, ClipAugment(0, 0, 0, 0, 0, speed=0.5))
    frames = decoded[0].inputs().reshape(30, -1)
    lengths = set()
    for seed in range(8):
        pair = source.pair(0, np.random.default_rng(seed))
        lengths.add(len(pair.x))
        for x, label in zip(pair.x, pair.y, strict=True):
            shown = np.flatnonzero((frames == x).all(axis=1))
            assert len(shown) and label == (10 <= shown[0] <= 19)
    assert min(lengths) < 26 and max(lengths) > 34


def test_clips_with_words_are_whole_and_with_one_label_not_too_long(clips, tmp_path):
    rows = read_table(table(clips, "clip,words\na.mp4,x y x\n"))
    source = TablePairs(decode(rows, tmp_path), {"x": 1, "y": 2}, 5)
    pair = fixed_pair(source, 0)
    assert len(source) == 1 and len(pair.x) == 30 and pair.y == [1, 2, 1]
    rows = read_table(table(clips, "clip,label\na.mp4,x\n"))
    for augment in (None, ClipAugment()):
        pair = TablePairs(decode(rows, tmp_path), {"x": 1}, 5, augment).pair(0, np.random.default_rng(1))
        assert len(pair.x) == 5 and pair.y == 1


def test_changes_to_pictures_keep_their_shape_and_can_be_none():
    clip = np.random.default_rng(0).integers(0, 256, (5, 12, 16, 3)).astype(np.uint8)
    none = ClipAugment(0, 0, 0, 0, 0, 0)
    assert np.array_equal(none.change(clip, np.random.default_rng(1)), clip)
    flips = [ClipAugment(0, 0, 0, 0, 0, 0, flip=True).change(clip, np.random.default_rng(n)) for n in range(10)]
    kinds = {(np.array_equal(found, clip), np.array_equal(found, clip[:, :, ::-1])) for found in flips}
    assert kinds == {(True, False), (False, True)}
    changed = ClipAugment().change(clip, np.random.default_rng(1))
    assert changed.shape == clip.shape and changed.dtype == np.uint8 and not np.array_equal(changed, clip)


# --- the sample clips


@pytest.mark.parametrize("kind", ["events", "moments", "frames", "clip", "words"])
def test_sample_clips_have_a_table_that_fits(tmp_path, kind):
    path = make(tmp_path / "balls", clips=4, kind=kind)
    rows = read_table(path)
    wanted = {"events": "events", "moments": "events", "frames": "labels", "clip": "label", "words": "text"}
    assert rows.kind == wanted[kind] and len(rows.items) == 4 and rows.moments == (kind == "moments")
    assert set(rows.labels) <= {"fall", "roll", "hit"}
    with pytest.raises(TransducerError):
        decode(read_table(path, labels=["roll over"]), tmp_path / "cache")
    assert len(decode(rows, tmp_path / "cache")) == 4


def test_pictures_with_their_sound_are_steps_as_well(tmp_path):
    source = Path(__file__).resolve().parents[2] / "sample_media" / "late-train.mkv"
    path = table(tmp_path, f"clip,start,end,label\n{source},0.5,1,x\n")
    medium = FramesAndSamples(Frames(6, 8), 640, 16000)
    pairs = TablePairs(decode_clips(read_table(path), medium, tmp_path / "cache"), {"x": 1}, 50)
    with medium.open(source) as reader:
        expected = np.concatenate([block.inputs for block in reader])
    found = [fixed_pair(pairs, index) for index in range(len(pairs))]
    assert np.array_equal(np.concatenate([pair.x for pair in found]), expected)
    labels = np.concatenate([pair.y for pair in found])
    assert len(labels) == len(expected) and np.flatnonzero(labels).tolist() == list(range(12, 25))
