"""Models of text, series and still images: results for every shape of a task, on a clock of steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import transducer
from transducer.cores.recurrent import RecurrentConfig
from transducer.data.sequences import Sequences
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.encoders.projection import ProjectionConfig
from transducer.errors import UsageError
from transducer.frontends.frames import FramesConfig
from transducer.frontends.series import SeriesConfig
from transducer.frontends.symbols import SymbolsConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.pooled import PooledConfig
from transducer.model.config import ModelConfig
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.labels import Labels
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe
from transducer.training.run import train

WORDS = Symbols(["the", "a", "dog", "cat", "sees"])
TAGS = Labels(["DET", "NOUN", "VERB"])
TAG_OF = {"the": "DET", "a": "DET", "dog": "NOUN", "cat": "NOUN", "sees": "VERB"}
CORE = RecurrentConfig("gru", 16, 1)


def fit(config: ModelConfig, units, source, tmp_path, steps=80) -> transducer.Model:
    phase = Phase(
        "train",
        steps,
        (HeadLoss("out"),),
        batch_frames=400,
        learning_rate=0.01,
        warmup=5,
        average_decay=0.9,
        bf16=False,
    )
    recipe = Recipe("tiny", config, units, source, Sequences(source.x[:5], source.y[:5]), (phase,), workers=0)
    return transducer.load(train(recipe, tmp_path / "run"))


def test_a_label_for_every_word(tmp_path):
    rng = np.random.default_rng(0)
    sentences = [" ".join(rng.choice(list(TAG_OF), rng.integers(1, 9))) for _ in range(60)]
    config = ModelConfig(
        SymbolsConfig(len(WORDS), "words", 8), ProjectionConfig(), CORE, {"out": FramewiseConfig("tags")},
        chunks=(1,), events=EventRules("steps"),
    )  # fmt: skip
    medium = replace(config, units={}).frontend.medium({"words": WORDS})
    x = [medium.check(sentence) for sentence in sentences]
    y = [np.array([TAGS.id(TAG_OF[word]) for word in sentence.split()]) for sentence in sentences]
    model = fit(config, {"words": WORDS, "tags": TAGS}, Sequences(x, y), tmp_path)

    result = model.predict("the dog sees a cat")
    assert result.text == "DET NOUN VERB DET NOUN" and result.kind == "steps"
    assert [(event.start, event.end, event.start_frame) for event in result.events][:2] == [(0, 1, 0), (1, 2, 1)]
    assert result.frames == result.duration == 5 and result.fps == 1
    assert model.predict(["the", "dog"]).text == "DET NOUN"

    stream = model.stream()
    assert [event.label for event in stream.push("the dog")] == ["DET", "NOUN"]
    assert [event.label for event in stream.push("sees") + stream.finish()] == ["VERB"]
    assert model.info()["input_tokens"] == 5
    with pytest.raises(UsageError, match="reads text"):
        model.predict(np.zeros((3, 2)))


def test_a_text_of_another_length_is_one_segment(tmp_path):
    """However long: neither silence nor length ends a segment of what has no seconds."""
    letters = Characters("abcxy")
    rng = np.random.default_rng(0)
    sources = ["".join(rng.choice(list("ab"), rng.integers(2, 8))) for _ in range(60)]
    config = ModelConfig(
        SymbolsConfig(len(letters), "letters", 8), ProjectionConfig(), CORE, {"out": CTCConfig("letters")}, chunks=(1,)
    )
    medium = config.frontend.medium({"letters": letters})
    # a becomes x, b becomes y, c becomes nothing.
    y = [letters.encode(source.replace("a", "x").replace("b", "y")) for source in sources]
    x = [medium.check("".join(letter + rng.choice(["c", "cc"]) for letter in source)) for source in sources]
    model = fit(config, {"letters": letters}, Sequences(x, y), tmp_path, steps=150)
    result = model.predict("acbcac" + "c" * 40 + "acbc")
    assert result.text == "xyxxy" and len(result.segments) == 1


@pytest.mark.parametrize("columns", [("a",), ("a", "b")])
def test_one_label_for_a_series_of_any_scale(columns, tmp_path):
    rng = np.random.default_rng(0)
    up = Labels(["up", "down"])
    rows, y = [], []
    for number in range(60):
        slope = 1 if number % 2 else -1
        series = np.zeros((rng.integers(5, 12), len(columns)), np.float32)
        series[:, -1] = 5000 + 300 * slope * np.arange(len(series)) + rng.normal(0, 50, len(series))
        rows.append(series)
        y.append(up.id("up" if slope > 0 else "down"))
    config = ModelConfig(SeriesConfig(columns), ProjectionConfig(), CORE, {"out": PooledConfig("labels")}, chunks=(1,))
    model = fit(config, {"labels": up}, Sequences(rows, y), tmp_path)
    mean = np.concatenate(rows).mean(axis=0)
    np.testing.assert_allclose(model.network.frontend.mean.numpy(), mean, rtol=1e-3)

    path = tmp_path / "rows.csv"
    path.write_text(",".join(reversed(columns)) + "\n")
    with path.open("a") as file:
        for step in range(8):
            file.write(",".join([str(5000 + 300 * step), "0"][: len(columns)]) + "\n")
    result = model.predict(path)
    assert [scene.label for scene in result.segments] == ["up"] and result.frames == 8
    array = np.zeros((8, len(columns)))
    array[:, -1] = 5000 - 300 * np.arange(8)
    assert model.predict(array).segments[0].label == "down"


def test_a_still_image_is_a_video_of_one_frame(tmp_path):
    import cv2

    rng = np.random.default_rng(0)
    sides = Labels(["left", "right"])
    pictures, y = [], []
    for number in range(40):
        picture = rng.integers(0, 60, (8, 8), dtype=np.uint8)
        half = slice(0, 4) if number % 2 else slice(4, 8)
        picture[:, half] += 150
        pictures.append(picture)
        y.append(1 if number % 2 else 2)
    config = ModelConfig(
        FramesConfig(8, 8, 1), FrameCNNConfig((8, 8), grid=(2, 2), difference=False), CORE,
        {"out": PooledConfig("labels")}, chunks=(1,),
    )  # fmt: skip
    medium = config.frontend.medium()
    model = fit(config, {"labels": sides}, Sequences([medium.check(p) for p in pictures], y), tmp_path)
    cv2.imwrite(str(tmp_path / "a.png"), pictures[1])
    for source in (tmp_path / "a.png", pictures[1], np.repeat(pictures[1][..., None], 3, 2)):
        assert [scene.label for scene in model.predict(source).segments] == ["left"]
    assert model.predict(pictures[0]).segments[0].label == "right"
