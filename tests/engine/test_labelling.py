"""From pictures and files to events: the same in any blocks, with the times of the frames."""

from __future__ import annotations

import gc
import io
import itertools
import threading
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_model

import transducer
from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.tcn import TCNConfig
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.encoders.fusion import FusionConfig
from transducer.engine.model import Model
from transducer.errors import CheckpointError, MediaError, UsageError
from transducer.frontends.audio_visual import AudioVisualConfig
from transducer.frontends.frames import FramesConfig
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.pooled import PooledConfig
from transducer.media.io.prefetch import Prefetch
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.results import Event, Scene
from transducer.search.events.rules import EventRules
from transducer.search.events.scenes import scenes
from transducer.text.tokenizers.labels import Labels

HEIGHT, WIDTH = 6, 8
UNITS = Labels(["cut", "dissolve"])
CNN = FrameCNNConfig(widths=(4,), grid=(1, 2))
PLAIN = ModelConfig(
    frontend=FramesConfig(HEIGHT, WIDTH),
    encoder=CNN,
    core=TCNConfig(channels=8, hidden=8, layers=2, kernel=3, dilations=(1,), look_ahead=2),
    heads={"labels": FramewiseConfig("labels")},
    units={"labels": len(UNITS)},
    events=EventRules("transitions", high=0.5, low=0.3),
)
MODELS = {
    "transitions": PLAIN,
    "spans": replace(PLAIN, events=EventRules("spans", high=0.4, merge=1)),
    "dense": replace(PLAIN, events=EventRules("dense", min_frames=2)),
    "peaks": replace(PLAIN, events=EventRules("peaks", window=2)),
    "clip": replace(PLAIN, heads={"label": PooledConfig("labels")}, events=None),
    "sequence": replace(PLAIN, heads={"words": CTCConfig("labels")}, events=None),
    "audiovisual": replace(
        PLAIN,
        frontend=AudioVisualConfig(FramesConfig(HEIGHT, WIDTH), LogMelConfig(bins=6), 640),
        encoder=FusionConfig(CNN, ConvSubsamplingConfig(3)),
        core=RecurrentConfig("gru", channels=8, layers=1),
        events=EventRules("dense"),
    ),
}
VIDEO = [name for name in MODELS if name != "audiovisual"]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def write_model(folder: Path, config: ModelConfig) -> Path:
    torch.manual_seed(1)
    network = Network(config).eval().requires_grad_(False)
    out = next(iter(network.heads.values()))
    out = next(part for part in out.modules() if isinstance(part, torch.nn.Linear))
    out.weight *= 12.0  # so that frames differ in their labels
    if isinstance(config.frontend, FramesConfig):
        frames = np.concatenate([pictures(50, seed) for seed in range(4)]).reshape(1, 200, -1)
        x, mask = torch.from_numpy(frames), torch.ones(1, 200, dtype=torch.bool)
        for stage in (network.frontend, network.encoder):
            x, mask = stage(x, mask)
        out.bias -= out(x[0]).mean(dim=0)  # every label has its turn
    save_checkpoint(folder, network, config, {"labels": UNITS})
    return folder


@lru_cache
def model(name: str) -> Model:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return transducer.load(write_model(Path(folder, name), MODELS[name]))


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """(T, H, W, 3): a few plain shots with some noise, and flicker."""
    rng = np.random.default_rng(seed)
    shots = rng.integers(0, 256, (count // 5 + 1, HEIGHT, WIDTH, 3)).repeat(5, axis=0)[:count]
    return np.clip(shots + rng.integers(-40, 40, shots.shape), 0, 255).astype(np.uint8)


def write_video(path: Path, frames: np.ndarray, rate: int = 25, sound: bool = False, times: list[int] = ()) -> Path:
    """A lossless video; `times` in milliseconds, where the rate is not constant."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate, width=frames.shape[2], height=frames.shape[1])
        stream.pix_fmt = "bgr0"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        speaker = container.add_stream("pcm_s16le", rate=16000, layout="mono") if sound else None
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = times[number] if len(times) else number * 1000 // rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if speaker:
            rng = np.random.default_rng(0)
            samples = (rng.standard_normal((1, len(frames) * 16000 // rate)) * 8000).astype(np.int16)
            packet = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            packet.rate, packet.pts = 16000, 0
            container.mux(speaker.encode(packet))
            container.mux(speaker.encode(None))
    return path


def found(events) -> list[tuple]:
    return [(event.label, event.start_frame, event.end_frame) for event in events]


@pytest.mark.parametrize("name", VIDEO)
@given(st.integers(0, 40), st.lists(st.integers(0, 1000), max_size=6), st.sampled_from([1, 3, 128]), st.integers(0, 3))
@settings(max_examples=10)
def test_results_do_not_depend_on_blocks(name, count, places, block, seed):
    frames = pictures(count, seed)
    whole = model(name).label(frames, frames=True)
    pieces = model(name).label(frames, frames=True, block=block)
    assert found(pieces.events) == found(whole.events)
    assert found(pieces.segments) == found(whole.segments)
    np.testing.assert_allclose(pieces.frame_scores, whole.frame_scores, atol=1e-5)

    live = model(name).stream(results="events", block=block)
    events = []
    for part in np.split(frames, sorted(place % (count + 1) for place in places)):
        events += live.push(part)
    events += live.finish()
    if name == "clip":  # of a whole file it is a scene, of a stream an event
        assert found(events) == [one for one in found(pieces.segments) if one[0]]
        return
    # The same blocks are the same to the last bit.
    assert sorted(events, key=lambda event: (event.start_frame, event.end_frame)) == list(pieces.events)


@pytest.mark.parametrize("name", VIDEO)
def test_scores_are_those_of_the_network_at_once(name):
    frames = pictures(30)
    network = model(name).network
    x, mask = torch.from_numpy(frames.reshape(1, 30, -1)), torch.ones(1, 30, dtype=torch.bool)
    for stage in (network.frontend, network.encoder, next(iter(network.heads.values()))):
        x, mask = stage(x, mask)
    labelling = model(name).label(frames, frames=True)
    np.testing.assert_allclose(labelling.frame_scores, x[0].exp().numpy(), atol=1e-3)  # packed weights round
    assert len(labelling.frame_labels if labelling.labels else frames) == 30
    assert labelling.frame_times == tuple(number / 25 for number in range(30))


@pytest.mark.parametrize("name", VIDEO)
def test_there_is_something_to_test(name):
    labellings = [model(name).label(pictures(40, seed)) for seed in range(4)]
    what = [event.label for labelling in labellings for event in (labelling.events or labelling.segments)]
    assert len(what) >= 4 and any(what)


@pytest.mark.parametrize("name", VIDEO)
def test_scenes_cover_the_video(name):
    labelling = model(name).label(pictures(40))
    assert labelling.frames == 40 and labelling.fps == 25 and labelling.duration == pytest.approx(1.6)
    segments = labelling.segments
    assert segments[0].start == 0 and segments[0].start_frame == 0
    assert segments[-1].end == labelling.duration and segments[-1].end_frame == 39
    for scene in segments:
        assert scene.start == pytest.approx(scene.start_frame / 25)
        assert scene.end == pytest.approx((scene.end_frame + 1) / 25)
    if name == "transitions":
        assert [scene.end_frame for scene in segments[:-1]] == [event.start_frame for event in labelling.events]
        assert [scene.start_frame for scene in segments[1:]] == [event.end_frame for event in labelling.events]
    else:
        ends = [scene.end_frame + 1 for scene in segments[:-1]]
        assert ends == [scene.start_frame for scene in segments[1:]]


@pytest.mark.parametrize("name", VIDEO)
def test_files_give_what_their_pictures_give(name, tmp_path):
    frames = pictures(40)
    expected = model(name).label(frames)
    path = write_video(tmp_path / "clip.mkv", frames)
    for source in (path, str(path), io.BytesIO(path.read_bytes()), list(frames), iter(frames)):
        labelling = model(name).label(source)
        assert labelling.segments == pytest.approx(labelling.segments)
        assert found(labelling.events) == found(expected.events)
        assert found(labelling.segments) == found(expected.segments)
        assert labelling.frames == 40 and labelling.duration == pytest.approx(1.6, abs=0.002)
    assert model(name).label(path).source == str(path)


def test_times_are_those_of_the_frames(tmp_path):
    """A variable rate: events know their frames, and when these were shown."""
    frames = pictures(40)
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.integers(10, 90, 40)) - 10
    times -= times[0]
    labelling = model("spans").label(write_video(tmp_path / "clip.mkv", frames, times=times.tolist()), block=7)
    assert found(labelling.events) == found(model("spans").label(frames).events)
    assert len(labelling.events) >= 3
    for event in labelling.events:
        assert event.start == pytest.approx(times[event.start_frame] / 1000, abs=0.0011)
        if event.end_frame < 39:
            assert event.end == pytest.approx(times[event.end_frame + 1] / 1000, abs=0.0011)
    assert labelling.duration > times[-1] / 1000


def test_events_come_as_soon_as_they_are_certain():
    frames = pictures(60)
    stream = model("transitions").stream(results="events")
    assert model("transitions").engine().tail == 2
    assert stream.latency == pytest.approx(3 / 25)  # the frame itself counts
    late = [number - event.end_frame for number, frame in enumerate(frames) for event in stream.push(frame)]
    assert late
    longest = max(event.end_frame - event.start_frame for event in model("transitions").label(frames).events)
    # One more frame, which is not part of it any more; a cut may lie at the beginning of its run.
    assert min(late) == 3 and max(late) <= 3 + longest + 5


def test_memory_of_a_stream_is_constant():
    stream = model("spans").stream(results="events", block=4)
    sizes = []
    for seed in range(20):
        stream.push(pictures(50, seed))
        sizes.append((len(stream.state.clock.entries), len(stream.state.waiting)))
    assert max(size for size, _ in sizes) < 40
    assert max(waiting for _, waiting in sizes) < 4


def test_a_session_tells_how_far_it_is(tmp_path):
    path = write_video(tmp_path / "clip.mkv", pictures(40))
    with model("transitions").session(path, block=4, results="events") as session:
        first = next(session)
        assert isinstance(first, Event) and 0 < session.position < 1.6 and 0 < session.frames < 40
        assert (session.name, session.duration, session.fps) == (str(path), pytest.approx(1.6, abs=0.01), 25)
        assert session.latency == pytest.approx(6 / 25)
        rest = list(session)
        assert session.position == pytest.approx(1.6, abs=0.01) and session.frames == 40
        assert session.result().events == (first, *rest)
        assert session.result() == session.result()
    assert list(session) == []


@pytest.mark.parametrize("name", VIDEO)
def test_what_is_certain_can_be_had_on_the_way(name):
    """An interrupt or a broken file: the events so far, and the scenes up to the frame that was judged last."""
    frames = pictures(60)
    whole = model(name).label(frames, block=4)

    def broken():
        yield from frames[:30]
        raise MediaError("broken")

    session = model(name).session(broken(), frames=True, block=4, results="events")
    events = []
    with pytest.raises(MediaError, match="broken"):
        for event in session:
            events.append(event)
            assert session.scenes == list(session.result().segments)[: len(session.scenes)] or name == "spans"
    result = session.result()
    assert sorted(found(result.events)) == sorted(found(events))
    assert set(found(result.events)) <= set(found(whole.events))
    assert result.frames == 26 and result.duration == pytest.approx(26 / 25)  # 28 were read, and two are looked ahead
    assert result.segments[-1].end_frame == 25 and result.segments[0].start_frame == 0
    assert len(result.frame_scores) == len(result.frame_times) == 26
    assert session.events_kind == result.kind == name and session.kind == "events"


@pytest.mark.parametrize("name", VIDEO)
def test_scenes_grow_on_the_way(name):
    with model(name).session(pictures(60), block=4, results="events") as session:
        counts = [len(session.scenes) for _ in session]
        assert session.scenes == list(session.result().segments)
    assert counts == sorted(counts)
    if name in ("transitions", "dense"):
        assert counts[0] >= 1


def test_a_session_that_is_left_ends_its_thread(tmp_path):
    path = write_video(tmp_path / "clip.mkv", pictures(400))
    before = threading.active_count()
    with model("transitions").session(path, block=4, results="events") as session:
        next(session)
        assert threading.active_count() == before + 1
    session.close()
    assert threading.active_count() == before
    assert list(session) == []


def test_a_session_that_is_dropped_ends_its_thread():
    before = threading.active_count()
    for _ in model("transitions").session(itertools.cycle(pictures(100)), block=4):
        break
    gc.collect()
    assert threading.active_count() == before


def test_an_interrupt_comes_through():
    def interrupted():
        yield from pictures(50)
        raise KeyboardInterrupt

    session = model("transitions").session(interrupted(), block=4)
    with pytest.raises(KeyboardInterrupt):
        list(session)
    assert session.result().frames == 46
    session.close()


def test_an_open_reader_is_a_source(tmp_path):
    from transducer.media.video.reader import open_video

    path = write_video(tmp_path / "clip.mkv", pictures(20))
    expected = model("dense").label(path)
    assert model("dense").label(open_video(path, (HEIGHT, WIDTH))) == expected
    with pytest.raises(UsageError, match="another size"):
        model("dense").label(open_video(path, (HEIGHT, WIDTH + 1)))


def test_one_frame_and_none(tmp_path):
    one = model("transitions").label(pictures(1))
    assert (one.events, one.frames, one.duration) == ((), 1, 0.04)
    assert one.segments == (Scene("shot", 0.0, 0.04, 0, 0, 1.0),)
    nothing = model("dense").label([])
    assert (nothing.events, nothing.segments, nothing.frames, nothing.duration) == ((), (), 0, 0.0)
    live = model("dense").stream(results="events")
    assert live.finish() == []
    import cv2

    cv2.imwrite(str(tmp_path / "still.png"), pictures(1)[0])
    still = model("transitions").label(tmp_path / "still.png")
    assert still.frames == 1 and [scene.label for scene in still.segments] == ["shot"]


def test_pictures_of_any_size_are_brought_to_that_of_the_model():
    large = pictures(20).repeat(4, axis=1).repeat(4, axis=2)
    expected = model("dense").label(pictures(20))
    assert model("dense").label(large) == expected
    live = model("dense").stream(results="events")
    mixed = [event for pair in zip(large[::2], pictures(20)[1::2], strict=True) for event in live.push(list(pair))]
    assert found(mixed + live.finish()) == found(expected.events)


def test_times_follow_the_frame_rate():
    slow, fast = (model("dense").label(pictures(40), fps=fps) for fps in (12.5, 50))
    assert found(slow.events) == found(fast.events)
    assert slow.duration == pytest.approx(3.2) and fast.duration == pytest.approx(0.8)
    live = model("dense").stream(results="events")
    events = live.push(pictures(40), times=[number / 50 for number in range(40)])
    assert found(events) == found(fast.events)[: len(events)] and events
    assert [event.start for event in events] == [event.start for event in fast.events[: len(events)]]


def test_thresholds():
    few, many = (len(model("transitions").label(pictures(200), threshold=x).events) for x in (0.99, 0.4))
    assert few < many
    with pytest.raises(UsageError, match="from 0 to 1"):
        model("transitions").label(pictures(1), threshold=2)
    with pytest.raises(UsageError, match="thresholds are for models of events"):
        model("sequence").label(pictures(1), threshold=0.5)


def test_words_have_a_text():
    labelling = model("sequence").label(pictures(100))
    assert labelling.text.split() == [event.label for event in labelling.events] and labelling.labels == ()


@pytest.mark.parametrize("rate", [25, 50, 10])
def test_picture_and_sound_of_one_file(rate, tmp_path):
    frames = pictures(40, 2)
    path = write_video(tmp_path / "clip.mkv", frames, rate, sound=True)
    labelling = model("audiovisual").label(path, frames=True)
    assert labelling.frames == 40 and labelling.fps == rate
    assert labelling.duration == pytest.approx(40 / rate, abs=0.05)
    assert len(labelling.frame_scores) == round(40 / rate * 25)
    assert found(model("audiovisual").label(path, block=3).events) == found(labelling.events)
    assert labelling.segments[-1].end_frame == 39 and labelling.segments[0].start_frame == 0
    if rate == 25:
        with transducer.media.audio.reader.open_audio(path) as audio:
            samples = np.concatenate(list(audio)).reshape(40, 640)
        inputs = np.concatenate([frames.reshape(40, -1).astype(np.float32), samples], axis=1)
        x, mask = torch.from_numpy(inputs)[None], torch.ones(1, 40, dtype=torch.bool)
        network = model("audiovisual").network
        for stage in (network.frontend, network.encoder, network.heads["labels"]):
            x, mask = stage(x, mask)
        np.testing.assert_allclose(labelling.frame_scores, x[0].exp().numpy(), atol=1e-3)


def test_a_model_for_both_needs_both(tmp_path):
    silent = write_video(tmp_path / "silent.mkv", pictures(5))
    with pytest.raises(MediaError, match="sound"):
        model("audiovisual").label(silent)
    for source in (pictures(5), "-"):
        with pytest.raises((UsageError, MediaError)):
            model("audiovisual").label(source)
    with pytest.raises(UsageError, match="needs the sound"):
        model("audiovisual").stream(results="events").push(pictures(1))


def test_the_wrong_kind_of_model_says_so():
    with pytest.raises(UsageError, match=r"labels events and writes no words: use label, .* speech-en$"):
        model("dense").transcribe(pictures(3))
    with pytest.raises(UsageError, match=r"is no media source|pictures|frame 0"):
        model("dense").label([np.zeros(10, np.float32)])
    with pytest.raises(UsageError, match="uint8"):
        tiny_model("ctc").label(pictures(1))
    with pytest.raises(UsageError, match="float32"):
        tiny_model("ctc").stream().push(pictures(1))


@pytest.mark.parametrize("name", MODELS)
def test_info(name):
    info = model(name).info()
    assert info["look_ahead_frames"] == (0 if name == "audiovisual" else 2)
    assert info["look_ahead_seconds"] == info["look_ahead_frames"] / 25
    assert info["frame_size"] == "8x6" and info["name"] == name and info["size_bytes"] >= 0
    assert info.get("labels", []) == ([] if name == "sequence" else ["cut", "dissolve"])


def test_rules_that_do_not_fit_the_model(tmp_path):
    for rules, message in (
        (EventRules("sequence"), "head makes no events of kind 'sequence'"),
        (EventRules("spans", thresholds={"explosion": 0.5}), "labels that it lacks: explosion"),
        (EventRules("spans", min_frames={"explosion": 5}), "labels that it lacks: explosion"),
    ):
        broken = transducer.load(write_model(tmp_path / "model", replace(PLAIN, events=rules)))
        with pytest.raises(CheckpointError, match=message):
            broken.label(pictures(1))


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        (3, {}, UsageError, "int is no source"),
        ("no such file.mp4", {}, MediaError, "no such file.mp4"),
        ([np.zeros((2, 2, 2), np.uint8)], {}, UsageError, "frame 0 of the source must be uint8"),
        ([pictures(1)[0], pictures(1)[0].astype(float)], {}, UsageError, "frame 1 of the source"),
        (pictures(2), {"fps": 0}, UsageError, "more than 0"),
        ("clip.mp4", {"fps": 25}, UsageError, "fps is for arrays"),
    ],
)
def test_sources_that_cannot_be_labelled(source, options, error, message):
    with pytest.raises(error, match=message):
        model("dense").label(source, **options)


def test_nothing_goes_after_finish():
    live = model("dense").stream(results="events")
    live.push(pictures(3))
    live.finish()
    for call in (lambda: live.push(pictures(1)), live.finish):
        with pytest.raises(UsageError, match="finished"):
            call()


def test_wrong_frames_change_nothing():
    live = model("dense").stream(results="events")
    for frames in (np.zeros((4, 4, 3)), np.zeros(4, np.uint8), np.zeros((2, 4, 4, 2), np.uint8), ["x"]):
        with pytest.raises(UsageError, match="must be uint8"):
            live.push(frames)
    with pytest.raises(UsageError, match="need as many times"):
        live.push(pictures(2), times=[0.0])
    assert live.push(pictures(20)) + live.finish() == list(model("dense").label(pictures(20), block=1).events)


# Reading ahead


def test_reading_ahead_keeps_the_order_and_is_bounded():
    made = []

    def numbers():
        for number in range(100):
            made.append(number)
            yield number

    ahead = Prefetch(numbers(), depth=3)
    taken = []
    for number in ahead:
        taken.append(number)
        assert len(made) <= len(taken) + 4
    assert taken == list(range(100)) and list(ahead) == []
    ahead.close()


def test_reading_ahead_passes_errors_on_after_what_came_before():
    def broken():
        yield 1
        raise MediaError("broken")

    ahead = Prefetch(broken())
    assert next(ahead) == 1
    with pytest.raises(MediaError, match="broken"):
        next(ahead)
    assert list(ahead) == []


def test_reading_ahead_ends_when_it_is_closed():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    ahead = Prefetch(endless())
    next(ahead)
    ahead.close()
    assert closed.is_set() and list(ahead) == []
    ahead.close()


# Scenes


def timed(label: str, start: int, end: int, transition: bool = False) -> Event:
    last, change = (end, start + 1.0) if transition else (end + 1, None)
    return Event(label, float(start), float(last), start, end, 0.5, change)


def test_shots_lie_between_transitions():
    cut, dissolve = timed("cut", 3, 4, True), timed("dissolve", 6, 9, True)
    assert scenes("transitions", [dissolve, cut], 12, 0.0, 12.0) == (
        Scene("shot", 0.0, 4.0, 0, 3, 1.0),
        Scene("shot", 4.0, 7.0, 4, 6, 1.0),
        Scene("shot", 9.0, 12.0, 9, 11, 1.0),
    )


def test_gaps_between_spans_have_no_label_and_overlaps_belong_to_the_first():
    spans = [timed("b", 4, 7), timed("a", 2, 5), timed("c", 3, 4)]
    assert scenes("spans", spans, 10, 0.0, 10.0) == (
        Scene("", 0.0, 2.0, 0, 1, 1.0),
        Scene("a", 2.0, 6.0, 2, 5, 0.5),
        Scene("b", 6.0, 8.0, 6, 7, 0.5),
        Scene("", 8.0, 10.0, 8, 9, 1.0),
    )
    assert scenes("spans", [], 0, 0.0, 0.0) == ()


def test_rules_are_exported():
    assert transducer.EventRules is EventRules
