"""Lip reading: the data and a quick run, on clips of a drawn mouth; and the real ones where they are at hand."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.lipreading.data import (
    RATE,
    SAMPLES,
    LipClip,
    LipClips,
    Noises,
    Sentence,
    hold_out,
    read_noises,
    read_sentences,
)
from pipelines.lipreading.recipe import BOX, join, model, recipe
from transducer.errors import UsageError
from transducer.model.checkpoint import load_checkpoint
from transducer.text.tokenizers.labels import Labels
from transducer.training.run import train

WORDS = ("bin", "blue", "at", "f", "two", "now")
SHAPE = (BOX[2] - BOX[0], BOX[3] - BOX[1])


def draw_clip(path: Path, seed: int, frames: int = 20) -> None:
    """A mouth that opens and closes, and a tone as loud as it is open; MPEG-4 and AAC."""
    import av
    import cv2

    rng = np.random.default_rng(seed)
    opening = np.abs(np.sin(np.arange(frames) * rng.uniform(0.3, 0.9)))
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 180, 144, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for size in opening:
            image = np.full((144, 180, 3), (220, 180, 160), np.uint8)
            cv2.ellipse(image, (80, 106), (9, 1 + int(5 * size)), 0, 0, 360, (120, 30, 40), -1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        tone = np.sin(np.arange(frames * SAMPLES) * 0.1) * np.repeat(opening, SAMPLES) * 0.5
        sound = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
        sound.sample_rate, sound.pts = RATE, 0
        container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder like the shared one: twenty short clips, and something to make noise from."""
    folder = tmp_path_factory.mktemp("data")
    for part in ("video/grid-s1", "noise", "speech"):
        (folder / part).mkdir(parents=True)
    rows = ["path\twords\tstart_frames\tend_frames"]
    for number in range(20):
        draw_clip(folder / "video" / "grid-s1" / f"{number}.mp4", number)
        words = np.roll(WORDS, number)
        rows.append(f"grid-s1/{number}.mp4\t{' '.join(words)}\t1 4 6.5 9 12 15\t4 6.5 9 12 15 18.25")
    (folder / "video" / "grid-s1.tsv").write_text("\n".join(rows) + "\n")
    rng = np.random.default_rng(0)
    for name in ("noise/noise.tsv", "speech/librispeech-train.tsv", "speech/librispeech-dev.tsv"):
        table = folder / name
        rows = ["path"]
        for number in range(12):
            rows.append(f"{table.stem}-{number}.wav")
            with wave.open(str(table.parent / rows[-1]), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes(rng.normal(0, 3000, RATE).astype(np.int16).tobytes())
        table.write_text("\n".join(rows) + "\n")
    return folder


def clip(frames: int = 20) -> LipClip:
    rng = np.random.default_rng(3)
    spans = tuple((1 + 2.5 * k, 3.5 + 2.5 * k) for k in range(6))
    pixels = rng.integers(0, 256, (frames, SHAPE[0] + 8, SHAPE[1] + 8, 3)).astype(np.uint8)
    samples = rng.normal(0, 0.1, frames * SAMPLES).astype(np.float32)
    return LipClip(Sentence(Path("a.mp4"), WORDS, spans), pixels, samples)


def noises() -> Noises:
    rng = np.random.default_rng(4)
    return Noises(*(tuple(rng.normal(0, 1, RATE).astype(np.float32) for _ in range(9)) for _ in range(2)))


def test_frames_carry_the_word_that_their_middle_is_in():
    labels = Labels(sorted(WORDS))
    sentence = Sentence(Path("a.mp4"), ("two", "now"), ((1.0, 2.5), (2.5, 4.75)))
    names = [labels.tokens[number] for number in sentence.labels(labels, 6)]
    assert names == ["", "two", "now", "now", "now", ""]


def test_held_out_sentences_are_always_the_same_and_nowhere_else(data):
    sentences = read_sentences(data / "video" / "grid-s1.tsv")
    test, dev, rest = hold_out(sentences, 4, 3)
    assert (len(test), len(dev), len(rest)) == (4, 3, 13)
    assert {one.path for part in (test, dev, rest) for one in part} == {one.path for one in sentences}
    assert hold_out(sentences[::-1], 4, 3) == [test, dev, rest]


def test_noise_for_measuring_is_none_of_training(data):
    tables = (("sounds", "noise/noise.tsv"), ("voices", "speech/librispeech-train.tsv"))
    parts = [read_noises(data, tables, held_out, 12) for held_out in (False, True)]
    for kind in ("sounds", "voices"):
        seen, unseen = ({sound.tobytes() for sound in getattr(part, kind)} for part in parts)
        assert seen and unseen and not seen & unseen
        assert len(seen) + len(unseen) == 12


@pytest.mark.parametrize("kind", ["babble", "noise"])
def test_noise_is_as_loud_as_was_asked_for(kind):
    source = LipClips((clip(),), Labels(sorted(WORDS)), "sound", noises()).at(kind, -5.0)
    noisy = source.pair(0, np.random.default_rng(0)).x[:, 0]
    clean = source.clips[0].samples
    assert 10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2)) == pytest.approx(-5, abs=0.01)


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("inputs", ["picture", "sound", "both"])
def test_pairs_have_a_label_for_each_frame(inputs, augment):
    labels = Labels(sorted(WORDS))
    source = LipClips((clip(),), labels, inputs, noises(), augment=augment)
    for seed in range(20):
        pair = source.pair(0, np.random.default_rng(seed))
        frames = len(pair.target("labels"))
        assert labels.decode(pair.target("words")) == " ".join(WORDS)
        assert 17 <= frames <= 23 if augment else frames == 20
        pixels = SHAPE[0] * SHAPE[1] * 3
        wanted = {"picture": (frames, pixels), "sound": (frames * SAMPLES, 1), "both": (frames, pixels + SAMPLES)}
        assert pair.x.shape == wanted[inputs]
        assert pair.x.dtype == (np.uint8 if inputs == "picture" else np.float32)
        again = source.pair(0, np.random.default_rng(seed))
        assert np.array_equal(pair.x, again.x)


def test_without_augmentation_the_middle_of_the_pixels_is_seen():
    source = LipClips((clip(),), Labels(sorted(WORDS)), "picture")
    x = source.pair(0, np.random.default_rng(0)).x.reshape(20, *SHAPE, 3)
    assert np.array_equal(x, source.clips[0].pixels[:, 4:-4, 4:-4])


@pytest.fixture(scope="module")
def models(data, tmp_path_factory) -> dict[str, Path]:
    """Checkpoints of quick runs."""
    folder = tmp_path_factory.mktemp("models")
    found: dict[str, Path] = {}

    def run(name: str, **settings: str | Path) -> None:
        made = recipe(data, quick=True, cache=folder / "cache", **{key: str(value) for key, value in settings.items()})
        assert not {one.sentence.path for one in made.dev.clips} & {one.sentence.path for one in made.train.clips}
        found[name] = train(replace(made, workers=0), folder / name)

    run("lips")
    run("lips-words", task="words", start=found["lips"])
    run("ears", inputs="sound")
    run("both", inputs="both", start=found["lips"], sound=found["ears"])
    return found


@pytest.mark.parametrize("name", ["lips", "lips-words", "ears", "both"])
def test_a_quick_run_makes_a_model(name, models):
    network, units = load_checkpoint(models[name])
    assert units["words"].names == tuple(sorted(WORDS))
    assert network.encoder.lookahead >= 12
    assert list(network.heads) == (["words", "labels"] if name == "lips-words" else ["labels"])
    assert "WER" in (models[name].parent / "report.md").read_text()


def test_words_start_as_labels(models, tmp_path):
    known, units = load_checkpoint(models["lips"])
    config = model("picture", "words", 192, len(units["words"]))
    start = load_checkpoint(join(config, units["words"], models["lips"], None, tmp_path / "start"))[0]
    pair = LipClips((clip(),), units["words"], "picture").pair(0, np.random.default_rng(0))
    said = []
    for network in (known, start):
        x, mask = network.eval().frontend(torch.from_numpy(pair.x)[None], torch.ones(1, len(pair.x), dtype=torch.bool))
        frames, mask = network.encoder(x, mask)
        said += [head(frames, mask)[0] for head in network.heads.values()]
    assert len(said) == 3
    assert all(torch.allclose(one, said[0], atol=2e-2) for one in said)


def test_encoders_for_both_come_from_the_models_for_one(models, tmp_path):
    seen, units = load_checkpoint(models["lips"])
    heard = load_checkpoint(models["ears"])[0]
    config = model("both", "labels", 192, len(units["words"]))
    start = load_checkpoint(join(config, units["words"], models["lips"], models["ears"], tmp_path / "start"))[0]
    fusion = start.encoder.stages[0]
    assert torch.equal(fusion.video.out.weight, seen.encoder.stages[0].out.weight)
    assert torch.equal(start.frontend.audio.mean, heard.frontend.mean)
    wanted = heard.encoder.stages[0].state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in fusion.audio.state_dict().items())


def test_models_that_do_not_fit_are_refused(models, tmp_path):
    config, labels = model("picture", "words", 192, 7), Labels(sorted(WORDS))
    with pytest.raises(UsageError, match="cannot be started from"):
        join(config, labels, models["ears"], None, tmp_path / "start")


def test_mistakes_are_told(data, tmp_path):
    with pytest.raises(UsageError, match="inputs=smell: there are picture, sound, both"):
        recipe(data, inputs="smell")
    with pytest.raises(UsageError, match="measured=train"):
        recipe(data, measured="train")
    for wrong in ({"task": "words"}, {"inputs": "both"}, {"start": "a"}, {"inputs": "both", "start": "a"}):
        with pytest.raises(UsageError, match="starts from"):
            recipe(data, **wrong)
    with pytest.raises(UsageError, match="--data must be"):
        recipe(tmp_path)
    table = tmp_path / "grid.tsv"
    table.write_text("path\twords\tstart_frames\tend_frames\na.mp4\tbin blue\t1 2\t2\n")
    with pytest.raises(UsageError, match="line 2: it needs path"):
        read_sentences(table)


def test_grid_is_a_thousand_sentences_of_six_words(shared_data):
    sentences = read_sentences(shared_data / "video" / "grid-s1.tsv")
    assert len(sentences) == 1000 and {len(one.words) for one in sentences} == {6}
    assert len({word for one in sentences for word in one.words}) == 51
