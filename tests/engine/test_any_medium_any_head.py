"""Any medium with any head: words and labels of sound, of pictures, and of both."""

from __future__ import annotations

import itertools
import json
import pickle
import tempfile
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import transducer
from transducer.cli import main
from transducer.cores.conformer import ConformerConfig
from transducer.cores.recurrent import RecurrentConfig
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.encoders.fusion import FusionConfig
from transducer.engine.model import Model
from transducer.frontends.audio_visual import AudioVisualConfig
from transducer.frontends.frames import FramesConfig
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.attention import AttentionConfig
from transducer.heads.cascaded_rnnt import CascadedRNNTConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.pooled import PooledConfig
from transducer.heads.rnnt import RNNTConfig
from transducer.model.checkpoint import save_checkpoint
from transducer.model.config import ModelConfig
from transducer.model.network import Network
from transducer.results import Labelling, Transcript
from transducer.search.endpoint import EndpointRules
from transducer.text.tokenizers.labels import Labels

RATE, HEIGHT, WIDTH = 1600, 6, 8
UNITS = Labels(["a", "b", "c"])
MEL = LogMelConfig(rate=RATE, bins=6, window=40, hop=16)
CNN = FrameCNNConfig(widths=(4,), grid=(1, 2))
MEDIA = {
    "samples": (MEL, ConvSubsamplingConfig(3)),
    "frames": (FramesConfig(HEIGHT, WIDTH), CNN),
    "frames and samples": (
        AudioVisualConfig(FramesConfig(HEIGHT, WIDTH), MEL, RATE // 25),
        FusionConfig(CNN, ConvSubsamplingConfig(3)),
    ),
}
CASCADE = CascadedRNNTConfig("labels", "ctc", 2, 8, 2, 12, 1, 5, 2, 6, 6)
HEADS = {
    "ctc": {"ctc": CTCConfig("labels")},
    "rnnt": {"rnnt": RNNTConfig("labels", "lstm", 6)},
    "cascaded": {"written": CASCADE, "ctc": CTCConfig("labels")},
    "attention": {"text": AttentionConfig("labels", channels=8, layers=1, heads=2, ctc=0.3, extra=2, ratio=0.5)},
    "attention alone": {"text": AttentionConfig("labels", "gru", "additive", 8, 1, extra=2, ratio=0.5)},
    "framewise": {"labels": FramewiseConfig("labels")},
    "pooled": {"label": PooledConfig("labels")},
}
CORES = {
    "conformer": ConformerConfig(channels=8, heads=2, hidden=12, layers=1, kernel=5, chunk=4, left_context=6),
    "gru": RecurrentConfig("gru", channels=8, layers=1),
}
WORDS = ("ctc", "rnnt", "cascaded", "attention", "attention alone")
PAIRS = list(itertools.product(MEDIA, HEADS))
every_pair = pytest.mark.parametrize(("medium", "head"), PAIRS)
SHORT = EndpointRules(silence_without_words=2.0, silence_after_words=0.2, max_length=1.0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def write_model(folder: Path, medium: str, head: str, core: str = "conformer") -> Path:
    frontend, encoder = MEDIA[medium]
    config = ModelConfig(frontend, encoder, CORES[core], HEADS[head], {"labels": len(UNITS)}, chunks=(4,))
    torch.manual_seed(3)
    network = Network(config).eval().requires_grad_(False)
    for module in network.heads[next(iter(config.heads))].modules():
        if isinstance(module, torch.nn.Linear):
            module.weight *= 3.0  # so that steps differ in what is written
    save_checkpoint(folder, network, config, {"labels": UNITS})
    return folder


@lru_cache
def model(medium: str, head: str) -> Model:
    with tempfile.TemporaryDirectory() as folder:
        return transducer.load(write_model(Path(folder, f"{medium}-{head}".replace(" ", "-")), medium, head))


def steps(medium: str, seconds: float, seed: int = 0) -> np.ndarray:
    """So many seconds of what a stream of the medium takes."""
    rng = np.random.default_rng(seed)
    samples = np.repeat(rng.uniform(-0.5, 0.5, int(seconds * 50) + 1), RATE // 50)[: int(seconds * RATE)].astype(
        np.float32
    )
    frames = rng.integers(0, 256, (int(seconds * 5) + 1, HEIGHT, WIDTH, 3)).repeat(5, axis=0)[: int(seconds * 25)]
    if medium == "samples":
        return samples
    if medium == "frames":
        return frames.astype(np.uint8)
    sound = samples[: len(frames) * RATE // 25].reshape(len(frames), RATE // 25)
    return np.concatenate([frames.reshape(len(frames), -1).astype(np.float32), sound], axis=1)


def write_media(path: Path, seconds: float = 2.0, seed: int = 0) -> Path:
    """A lossless file with the pictures and the sound of `steps`."""
    frames, samples = steps("frames", seconds, seed), steps("samples", seconds, seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=WIDTH, height=HEIGHT)
        stream.pix_fmt = "bgr0"
        speaker = container.add_stream("pcm_f32le", rate=RATE, layout="mono")
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        sound = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
        sound.rate, sound.pts = RATE, 0
        container.mux(speaker.encode(sound))
        container.mux(speaker.encode(None))
    return path


def whole(stream, x: np.ndarray, places: list[int]) -> list:
    results = []
    for part in np.split(x, sorted(place % (len(x) + 1) for place in places)):
        results += stream.push(part)
    return results + stream.finish()


@every_pair
@given(st.lists(st.integers(0, 10**6), max_size=5), st.integers(0, 3))
@settings(max_examples=5)
def test_results_do_not_depend_on_packets(medium, head, places, seed):
    one, x = model(medium, head), steps(medium, 1.7, seed)
    options = {"endpoint": SHORT} if head in WORDS else {}
    assert whole(one.stream(**options), x, places) == whole(one.stream(**options), x, [])


@every_pair
def test_there_is_something_to_test(medium, head):
    found = [result for seed in range(4) for result in whole(model(medium, head).stream(), steps(medium, 2, seed), [])]
    assert found


@every_pair
@given(st.integers(1, 10**6), st.integers(0, 3))
@settings(max_examples=4)
def test_a_stream_is_saved_forked_and_gone_on_with(medium, head, place, seed):
    one, x = model(medium, head), steps(medium, 1.7, seed)
    place %= len(x)
    stream = one.stream()
    before = stream.push(x[:place])
    saved = pickle.dumps(stream.state)
    rest = stream.push(x[place:]) + stream.finish()
    for _ in range(2):  # a state may be used again
        state = pickle.loads(saved)
        for _ in range(2):
            again = one.stream(state=state)
            assert again.push(x[place:]) + again.finish() == rest
    assert before + rest == whole(one.stream(), x, [place])


@every_pair
def test_many_clients_get_what_each_gets_alone(medium, head):
    one = model(medium, head)
    sounds = {name: steps(medium, 0.7 + 0.4 * name, name) for name in range(3)}
    batch = one.batch(3)
    found: dict[int, list] = {name: [] for name in sounds}
    for name, x in sounds.items():
        batch.join(name)
        batch.push(name, x)
        batch.end(name)
    while len(batch):
        for name, results in batch.step().items():
            found[name] += results
    for name, x in sounds.items():
        alone = one.batch(3)
        for slot in range(name):
            alone.join(slot)
        alone.join("only")
        for slot in range(name):
            alone.leave(slot)
        alone.push("only", x)
        alone.end("only")
        results = []
        while len(alone):
            results += alone.step().get("only", [])
        assert found[name] == results


@every_pair
def test_flush_gives_what_there_is_and_nothing_comes_twice(medium, head):
    one, x = model(medium, head), steps(medium, 2.0)
    stream, half = one.stream(), len(x) // 2
    results = stream.push(x[:half]) + stream.flush()
    assert stream.flush() == []
    results += stream.push(x[half:]) + stream.finish()
    starts = [result.start for result in results if head not in WORDS or result.final]
    assert starts == sorted(starts)
    spans = [(result.start, result.end) for result in results if head not in WORDS]
    assert len(spans) == len(set(spans))


@every_pair
def test_a_file_gives_words_or_labels(medium, head, tmp_path):
    path = write_media(tmp_path / "clip.mkv")
    one = model(medium, head)
    result = one.predict(path)
    assert isinstance(result, Transcript if head in WORDS else Labelling)
    assert result.duration == pytest.approx(2.0, abs=0.05)
    labelling = one.label(path)
    assert labelling.duration == pytest.approx(2.0, abs=0.05)
    ends = [event.end for event in labelling.events] + [scene.end for scene in labelling.segments]
    assert max(ends, default=0.0) <= labelling.duration + 1e-6
    if medium != "samples":
        assert labelling.frames == 50 and labelling.fps == 25
        assert all(event.end_frame < 50 for event in labelling.events)
    if head in WORDS:
        words = [word.text for word in one.transcribe(path).words]
        assert [event.label for event in labelling.events] == words
    else:
        with pytest.raises(transducer.UsageError, match="writes no words"):
            one.transcribe(path)


@every_pair
def test_the_command_line_takes_them(medium, head, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_media(tmp_path / "clip.mkv")
    folder = str(write_model(tmp_path / "model", medium, head))
    assert main(["label", "clip.mkv", "--model", folder, "--json"]) == 0
    labelling = json.loads(capsys.readouterr().out)
    expected = model(medium, head).label(tmp_path / "clip.mkv")
    assert [event["label"] for event in labelling["events"]] == [event.label for event in expected.events]
    assert main(["info", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] > 0
    if head in WORDS:
        assert main(["transcribe", "clip.mkv", "--model", folder, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["text"] == model(medium, head).transcribe("clip.mkv").text
    else:
        assert main(["transcribe", "clip.mkv", "--model", folder]) == 2
        assert "label" in capsys.readouterr().err


@pytest.mark.parametrize("head", HEADS)
def test_times_of_frames_are_those_that_were_given(head):
    """At a variable rate, results are on the clock of the frames."""
    x = steps("frames", 2.0)
    times = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.09, len(x))).tolist()
    stream = model("frames", head).stream(results="events")
    events = [
        event
        for number in range(0, len(x), 7)
        for event in stream.push(x[number : number + 7], times[number : number + 7])
    ]
    events += stream.finish()
    assert events
    for event in events:
        assert event.start == pytest.approx(times[event.start_frame], abs=1e-6)
        if event.end_frame + 1 < len(times):
            assert event.end == pytest.approx(times[event.end_frame + 1], abs=1e-6)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("times", [[0.2, 0.1], [0.1, 0.1], [0.0, float("nan")], [0.0, float("inf")], ["a", "b"], [0.0]])
def test_times_that_make_no_sense_are_refused_and_change_nothing(head, times):
    x = steps("frames", 1.0)
    stream = model("frames", head).stream()
    with pytest.raises(transducer.UsageError, match="times"):
        stream.push(x[:2], times)
    results = stream.push(x[:10])
    with pytest.raises(transducer.UsageError, match="increase"):
        stream.push(x[10:11], [0.1])  # before the last one
    assert results + stream.push(x[10:]) + stream.finish() == whole(model("frames", head).stream(), x, [])


def test_sound_has_no_times_and_no_rate_to_choose():
    with pytest.raises(transducer.UsageError, match="no times of their own"):
        model("samples", "ctc").stream().push(steps("samples", 1.0)[:2], [0.0, 1.0])
    with pytest.raises(transducer.UsageError, match="leave out the rate"):
        model("samples", "ctc").stream(fps=25)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "fast"])
def test_a_frame_rate_is_a_positive_number(rate):
    with pytest.raises(transducer.UsageError, match="frames per second"):
        model("frames", "ctc").stream(fps=rate)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "a beam must be a whole number from 1"),
        ({"beam": 2.5}, "a beam must be a whole number"),
        ({"nbest": -1}, "from 0"),
        ({"nbest": 10**9}, "to 1000"),
        ({"chunk_ms": float("nan")}, "number of milliseconds"),
        ({"chunk_ms": "640"}, "number of milliseconds"),
        ({"chunk_ms": 10}, "no multiple of the model's step"),
        ({"search": "deep"}, "there are greedy, beam"),
        ({"threshold": 2}, "from 0 to 1"),
        ({"threshold": 0.5}, "thresholds are for models of events"),
        ({"hotwords": "Ada"}, "must be a list"),
        ({"hotwords": [("Ada", "much")]}, "weight"),
        ({"hotwords": ["Ada"], "search": "beam"}, "with a lexicon"),
        ({"head": "other"}, "no head 'other': there are ctc"),
        ({"results": "numbers"}, "there are words, events"),
        ({"endpoint": 3}, "must be EndpointRules"),
        ({"speed": 3}, "unknown option speed"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(transducer.UsageError, match=message):
        model("samples", "ctc").engine(**options)


@pytest.mark.parametrize("option", [{"beam": 4}, {"nbest": 2}, {"hotwords": ["Ada"]}, {"endpoint": SHORT}])
def test_heads_of_labels_have_no_options_of_words(option):
    with pytest.raises(transducer.UsageError, match="models of words"):
        model("samples", "framewise").engine(**option)


def test_the_same_options_make_one_engine():
    one = model("samples", "ctc")
    assert one.engine(search="beam", hotwords=[]) is one.engine(search="beam")
    assert one.engine(search="beam") is not one.engine(search="greedy")


def test_a_head_can_be_chosen():
    one = model("samples", "cascaded")
    assert one.engine().network.network.stages[-1] is not one.engine(head="ctc").network.network.stages[-1]
    assert one.engine().latency > one.engine(head="ctc").latency  # it waits for what is due late
