"""Tables of clips: what they may look like, what is wrong with them, and clips decoded once."""

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
from transducer.data.clip_pairs import ClipPairs
from transducer.data.clips import decode_clips, event_frames, frame_labels
from transducer.data.video_manifest import Mark, VideoManifest, read_video_manifest
from transducer.errors import MediaError, TransducerError, UsageError
from transducer.training.pairs import fixed_pair


def table(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(folder: Path, *rows: object) -> Path:
    return table(folder, "".join(json.dumps(row) + "\n" for row in rows), "t.jsonl")


def read(path: Path, **options: object) -> VideoManifest:
    return read_video_manifest(path, check_media=False, **options)


def problem(path: Path, **options: object) -> str:
    """The error's line, which has to begin with the name of the table."""
    with pytest.raises(UsageError) as error:
        read(path, **options)
    text = str(error.value)
    assert text.startswith(str(path)) and "\n" not in text
    return text.removeprefix(str(path)).lstrip(",: ")


# --- what is understood


def test_the_same_events_in_every_form(tmp_path):
    events = [{"start": 0.5, "end": 1, "label": "up"}, {"start": 2, "end": 2.5, "label": "down"}]
    rows = [{"path": "a.mp4", "events": events}, {"path": "b.mp4", "events": []}]
    forms = [
        lines(tmp_path, *rows),
        table(tmp_path, "clip,start,end,label\na.mp4,0.5,1,up\nb.mp4,,,\na.mp4,2,2.5,down\n"),
        table(tmp_path, "Label\tFile\tEnd\tStart\r\nup\ta.mp4\t1\t0.5\r\ndown\ta.mp4\t2.5\t2\r\n\tb.mp4\r\n", "t.tsv"),
        table(tmp_path, '\ufeffpath;label;start;end\n"a.mp4";down;2;2.5\n\na.mp4;up;0.5;1.0\nb.mp4;;;\n', "u.csv"),
    ]
    for form in forms:
        manifest = read(form)
        assert (manifest.kind, manifest.labels) == ("events", ("down", "up"))
        assert {clip.name: [(e.label, e.start, e.end, e.frames) for e in clip.events] for clip in manifest.clips} == {
            "a.mp4": [("up", 0.5, 1, False), ("down", 2, 2.5, False)],
            "b.mp4": [],
        }
        assert {clip.path for clip in manifest.clips} == {tmp_path / "a.mp4", tmp_path / "b.mp4"}


def test_every_kind_of_label(tmp_path):
    assert read(lines(tmp_path, {"path": "a", "labels": ["x", "", "y"]})).clips[0].labels == ("x", "", "y")
    assert read(lines(tmp_path, {"path": "a", "label": "left turn"})).labels == ("left turn",)
    for row in ({"path": "a", "words": "bin blue at"}, {"path": "a", "text": ["bin", "blue", "at"]}):
        manifest = read(lines(tmp_path, row))
        assert manifest.kind == "text" and manifest.clips[0].words == ("bin", "blue", "at")
    manifest = read(table(tmp_path, "clip,start_frame,end_frame,label\na,3,5,x\na,6,6,x\nb,2,,x\n"))
    assert [e.frames for clip in manifest.clips for e in clip.events] == [True] * 3 and not manifest.moments
    assert read(table(tmp_path, "clip,start,label\na,3,x\nb,2.5,x\n")).moments
    assert read(lines(tmp_path, {"path": "a", "label": 3})).labels == ("3",)


def test_declared_labels_keep_their_order_and_others_are_errors(tmp_path):
    path = table(tmp_path, "clip,start,end,label\na,0,1,up\na,1,2,down\nb,0,1,sideways\n")
    assert read(path).labels == ("down", "sideways", "up")
    assert read(path, labels=["up", "down", "sideways", "never"]).labels == ("up", "down", "sideways", "never")
    assert problem(path, labels=["up", "down"]) == "line 4: unknown label 'sideways': there are up, down"
    path = lines(tmp_path, {"path": "a", "labels": ["up"]}, {"path": "b", "labels": ["up", "", "upp"]})
    assert problem(path, labels=["up"]) == "line 2: unknown label 'upp': there are up"


# --- what is wrong


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the manifest is empty"),
        ("clip,start,end,label\n", "the manifest is empty"),
        ("name,start,end,label\na,1,2,x\n", "line 1: no column for the clip"),
        ("clip,path,label\na,a,x\n", "line 2: 'path' and 'clip' mean the same"),
        ("clip,label,label\na,x,y\n", "line 1: the column 'label' comes twice"),
        ("clip,start,end,label\na,1,2,x,9\n", "line 2: 5 columns, the header has 4"),
        ("clip,start,end,label\n,1,2,x\n", "line 2: the row names no clip"),
        ("clip,start,end,label\na,1,2,\n", "line 2: an event has no label"),
        ("clip,start,end,label\na,,2,x\n", "line 2: the event 'x' has no start"),
        ("clip,start,end,label\na,,,x\n", "line 2: the event 'x' has no start"),
        ("clip,start,end,label\na,1,2,x\na,one,2,x\n", "line 3: start 'one' is no number"),
        ("clip,start,end,label\na,1,nan,x\n", "line 2: end 'nan' is no number"),
        ("clip,start,end,label\na,2,1,x\n", "line 2: the event 'x' at second 2 to 1 ends before it has begun"),
        ("clip,start,end,label\na,2,2,x\n", "line 2: the event 'x' at second 2 to 2 ends before it has begun"),
        ("clip,start,end,label\na,-1,1,x\n", "line 2: the event 'x' at second -1 to 1 starts before the clip"),
        ("clip,start_frame,end_frame,label\na,1.5,2,x\n", "line 2: the event 'x' at frame 1.5 to 2 must have whole"),
        ("clip,start_frame,end_frame,label\na,5,4,x\n", "line 2: the event 'x' at frame 5 to 4 ends before"),
        ("clip,start,start_frame,label\na,1,4,x\n", "line 2: the event 'x' has seconds and frames"),
        ("clip,start,end,label\na,1,3,x\nb,1,2,x\na,2,4,y\n", "line 4: the event 'y' at second 2 to 4 overlaps 'x' at"),
        ("clip,start,end,label\na,1,2,x\na,1,2,x\n", "line 3: the event 'x' at second 1 to 2 overlaps 'x' at"),
        ("clip,start,end,label\na,1,9,x\na,2,3,y\na,8,10,z\n", "line 3: the event 'y' at second 2 to 3 overlaps"),
        ("clip,start_frame,end_frame,label\na,1,3,x\na,3,4,x\n", "line 3: the event 'x' at frame 3 to 4 overlaps"),
        ("clip,start,end,label\na,,,\nb,,,\n", "no clip has any label"),
        ("clip,label\na,x\nb,x\na,y\n", "line 4: a is on line 2 already: a clip comes once"),
        ("clip,label\na,x\nb,\n", "line 3: a clip has one of events, labels, label and text; b has none of them"),
        ("clip,label,text\na,x,y z\n", "line 2: a clip has one of events, labels, label and text; a has label and"),
        ("clip,label,split\na,x,holdout\n", "line 2: unknown split 'holdout'"),
        ("clip,start,end,label,split\na,1,2,x,dev\na,3,4,x,train\n", "line 3: a is in the split 'dev' on line 2"),
        ('clip,label\n"a,x\n', "line 2: "),
    ],
)  # fmt: skip
def test_a_bad_table_is_told_by_its_line(tmp_path, text, message):
    assert problem(table(tmp_path, text)).startswith(message)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], "line 1: not JSON"),
        (['{"path": "a", "label": "x"}', "", "[1]"], "line 3: a line must be a JSON object"),
        (['{"label": "x"}'], "line 1: the row names no clip"),
        (['{"path": 3, "label": "x"}'], "line 1: the row names no clip"),
        (['{"path": "a"}'], "line 1: a clip has one of events, labels, label and text; a has none of them"),
        (['{"path": "a", "label": {"x": 1}}'], "line 1: label must be a name"),
        (['{"path": "a", "labels": [1, 2]}'], "line 1: labels must be a list of names"),
        (['{"path": "a", "words": 3}'], "line 1: text must be a list of names"),
        (['{"path": "a", "events": {"start": 1}}'], "line 1: events must be a list such as"),
        (['{"path": "a", "events": [{"start": 1, "end": 2}]}'], "line 1: an event has no label"),
        (['{"path": "a", "events": [{"start": true, "label": "x"}]}'], "line 1: start True is no number"),
        (['{"path": "a", "label": "x"}', '{"path": "a", "label": "x"}'], "line 2: a is on line 1 already"),
        (
            ['{"path": "a", "events": [{"start": 1, "label": "x"}]}'] * 2,
            "line 2: a is on line 1 already: a clip comes once",
        ),
        (
            ['{"path": "a", "label": "x"}', '{"path": "b", "text": "x"}'],
            "line 2: b has text, but a on line 1 has label",
        ),
    ],
)
def test_bad_json_lines_are_told_by_their_line(tmp_path, rows, message):
    assert problem(table(tmp_path, "\n".join(rows), "t.jsonl")).startswith(message)


def test_tables_that_cannot_be_read(tmp_path):
    assert "cannot read the manifest: No such file" in problem(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in problem(tmp_path / "bytes.csv")
    folder = tmp_path / "clips"
    folder.mkdir()
    assert "needs one table of clips (.jsonl, .csv or .tsv), found none" in problem(folder)
    table(folder, "clip,label\na,x\n", "one.csv")
    assert read(folder).path == folder / "one.csv"
    table(folder, "clip,label\na,x\n", "two.csv")
    assert "found one.csv, two.csv" in problem(folder)
    with pytest.raises(UsageError, match=r"one.csv, line 2: no such file: .*clips/a"):
        read_video_manifest(folder / "one.csv")
    with pytest.raises(UsageError, match="overlaps is 'first': it must be 'refuse' or 'later'"):
        read(folder / "one.csv", overlaps="first")


# --- training and held-out clips


def test_the_split_is_by_the_table_or_by_a_hash(tmp_path):
    names = [f"clip-{number}.mp4" for number in range(60)]
    rows = [{"path": name, "label": "ab"[number % 2]} for number, name in enumerate(names)]
    train, dev = read(lines(tmp_path, *rows)).parts()
    assert len(dev) == 8 and len(train) == 52  # of 30 of each label, 15 %
    assert {clip.label for clip in dev} == {"a", "b"}
    again = read(lines(tmp_path, *reversed(rows))).parts()[1]
    assert {clip.name for clip in again} == {clip.name for clip in dev}
    more = read(lines(tmp_path, *rows, *({"path": f"new-{n}.mp4", "label": "a"} for n in range(4)))).parts()[1]
    assert len({clip.name for clip in dev} - {clip.name for clip in more}) <= 1

    rows = [{**row, "split": split} for row, split in zip(rows, ["", "train", "val", "dev"] * 15, strict=True)]
    train, dev = read(lines(tmp_path, *rows)).parts()
    assert {clip.name for clip in dev} == {name for number, name in enumerate(names) if number % 4 > 1}
    assert not read(lines(tmp_path, *rows[:2])).parts()[1]
    with pytest.raises(UsageError, match="all clips are held out"):
        read(lines(tmp_path, rows[2])).parts()


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
    found = frame_labels(read(path).clips[0], {"x": 1, "y": 2}, times, 10)
    assert found.tolist() == [0, 0, 1, 1, 1, 2, 2, 2] + [0] * 7 + [1] + [0] * 4
    wide = frame_labels(read(path).clips[0], {"x": 1, "y": 2}, times, 10, widen=2)
    assert np.flatnonzero(wide != found).tolist() == [13, 14, 16, 17]
    path = table(tmp_path, "clip,start,end,label\na,0.2,0.9,x\na,0.5,0.7,y\n")
    found = frame_labels(read(path, overlaps="later").clips[0], {"x": 1, "y": 2}, times, 10)
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


def decode(manifest: VideoManifest, folder: Path, **options: object) -> list:
    return decode_clips(manifest, (16, 24), folder, **options)


def test_clips_are_decoded_once(clips, tmp_path, monkeypatch):
    manifest = read_video_manifest(table(clips, "clip,start,end,label\na.mp4,0.2,0.4,x\nb.mp4,,,\n"))
    found = decode(manifest, tmp_path)
    assert [len(clip) for clip in found] == [30, 20] and found[0].frames().shape == (30, 16, 24, 3)
    assert found[0].times[5] == pytest.approx(0.2) and found[0].fps == 25
    monkeypatch.setattr("transducer.data.clips.open_video", None)
    again = decode(manifest, tmp_path)
    assert np.array_equal(again[0].frames(), found[0].frames()) and again[1].times == found[1].times


def test_labels_that_do_not_fit_their_clip_are_told(clips, tmp_path):
    def told(text: str, name: str = "t.csv") -> str:
        with pytest.raises(UsageError) as error:
            decode(read_video_manifest(table(clips, text, name)), tmp_path)
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
        ", line 1: 29 labels for the 30 frames of a.mp4: there must be one for each"
    )


@pytest.mark.parametrize("name", ["text.mp4", "sound.wav"])
def test_clips_that_cannot_be_read_are_named_and_can_be_skipped(clips, tmp_path, name):
    text = f"clip,label\na.mp4,x\n{name},x\nb.mp4,y\n"
    manifest = read_video_manifest(table(clips, text))
    with pytest.raises(MediaError, match=f"t.csv, line 3: .*{name}"):
        decode(manifest, tmp_path)
    said: list[str] = []
    found = decode(manifest, tmp_path, on_error="skip", warn=said.append)
    assert [clip.clip.name for clip in found] == ["a.mp4", "b.mp4"]
    assert len(said) == 1 and "line 3" in said[0] and said[0].endswith("; the clip is skipped")
    with pytest.raises(UsageError, match="no clip is left"):
        decode(read_video_manifest(table(clips, f"clip,label\n{name},x\n")), tmp_path, on_error="skip")
    with pytest.raises(UsageError, match="on_error is 'ignore': it must be 'fail' or 'skip'"):
        decode(manifest, tmp_path, on_error="ignore")
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


# --- examples


def test_pieces_cover_the_clips_and_labels_go_with_the_frames(clips, tmp_path):
    text = "clip,start_frame,end_frame,label\na.mp4,3,8,x\na.mp4,20,29,y\nb.mp4,,,\n"
    manifest = read_video_manifest(table(clips, text))
    decoded, numbers = decode(manifest, tmp_path), {"x": 1, "y": 2}
    plain = ClipPairs(decoded, numbers, window=12)
    pairs = [fixed_pair(plain, index) for index in range(len(plain))]
    assert [len(pair.x) for pair in pairs] == [12, 12, 6, 12, 8] and plain.frames == 50
    whole = np.concatenate([pair.x for pair in pairs[:3]])
    assert np.array_equal(whole, decoded[0].frames().reshape(30, -1))
    labels = np.concatenate([pair.y for pair in pairs])
    assert np.flatnonzero(labels == 1).tolist() == list(range(3, 9))
    assert plain.counts().tolist() == [34, 6, 10] and plain.runs() == {1: [6], 2: [10]}
    other = ClipPairs(decoded, numbers, 12, ClipAugment())
    assert other.fingerprint != plain.fingerprint == ClipPairs(decoded, numbers, 12).fingerprint
    for index in range(len(other)):
        pair = other.pair(index, np.random.default_rng(index))
        assert pair.x.dtype == np.uint8 and 1 <= len(pair.x) == len(pair.y) <= 12
        again = other.pair(index, np.random.default_rng(index))
        assert np.array_equal(pair.x, again.x) and np.array_equal(pair.y, again.y)


def test_speed_keeps_labels_with_their_frames(clips, tmp_path):
    manifest = read_video_manifest(table(clips, "clip,start_frame,end_frame,label\na.mp4,10,19,x\n"))
    decoded = decode(manifest, tmp_path)
    source = ClipPairs(decoded, {"x": 1}, 100, ClipAugment(0, 0, 0, 0, 0, speed=0.5))
    frames = decoded[0].frames().reshape(30, -1)
    lengths = set()
    for seed in range(8):
        pair = source.pair(0, np.random.default_rng(seed))
        lengths.add(len(pair.x))
        for x, label in zip(pair.x, pair.y, strict=True):
            shown = np.flatnonzero((frames == x).all(axis=1))
            assert len(shown) and label == (10 <= shown[0] <= 19)
    assert min(lengths) < 26 and max(lengths) > 34


def test_clips_with_words_are_whole_and_with_one_label_not_too_long(clips, tmp_path):
    manifest = read_video_manifest(table(clips, "clip,words\na.mp4,x y x\n"))
    source = ClipPairs(decode(manifest, tmp_path), {"x": 1, "y": 2}, 5)
    pair = fixed_pair(source, 0)
    assert len(source) == 1 and len(pair.x) == 30 and pair.y == [1, 2, 1]
    manifest = read_video_manifest(table(clips, "clip,label\na.mp4,x\n"))
    for augment in (None, ClipAugment()):
        pair = ClipPairs(decode(manifest, tmp_path), {"x": 1}, 5, augment).pair(0, np.random.default_rng(1))
        assert len(pair.x) == 5 and pair.y == 1


def test_changes_to_pictures_keep_their_shape_and_can_be_none():
    clip = np.random.default_rng(0).integers(0, 256, (5, 12, 16, 3)).astype(np.uint8)
    none = ClipAugment(0, 0, 0, 0, 0, 0)
    assert np.array_equal(none.pixels(clip, np.random.default_rng(1)), clip)
    flips = [ClipAugment(0, 0, 0, 0, 0, 0, flip=True).pixels(clip, np.random.default_rng(n)) for n in range(10)]
    kinds = {(np.array_equal(found, clip), np.array_equal(found, clip[:, :, ::-1])) for found in flips}
    assert kinds == {(True, False), (False, True)}
    changed = ClipAugment().pixels(clip, np.random.default_rng(1))
    assert changed.shape == clip.shape and changed.dtype == np.uint8 and not np.array_equal(changed, clip)


# --- the sample clips


@pytest.mark.parametrize("kind", ["events", "moments", "frames", "clip", "words"])
def test_sample_clips_have_a_table_that_fits(tmp_path, kind):
    path = make(tmp_path / "balls", clips=4, kind=kind)
    manifest = read_video_manifest(path)
    wanted = {"events": "events", "moments": "events", "frames": "labels", "clip": "label", "words": "text"}
    assert manifest.kind == wanted[kind] and len(manifest.clips) == 4 and manifest.moments == (kind == "moments")
    assert set(manifest.labels) <= {"fall", "roll", "hit"}
    with pytest.raises(TransducerError):
        decode(read_video_manifest(path, labels=["roll over"]), tmp_path / "cache")
    assert len(decode(manifest, tmp_path / "cache")) == 4
