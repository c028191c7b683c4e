"""A drawn scene -> a sentence: "a big red cross left of a small blue ring", by a CNN and a decoder with attention.

    transducer train pipelines/captioning.py --output runs/captioning
    transducer train pipelines/captioning.py --output runs/captioning-gru --set decoder=gru --set dropout=0.2

The Transformer reads a picture from left to right in strips, as a video of so many frames; a recurrent decoder attends
to its patches, each of which sees some way around. What is measured has things of a size, colour and shape that were
never in training together; `--set part=dev` while settings are tuned.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transducer.cores.full_attention import FullTransformerConfig
from transducer.cores.independent import IndependentConfig
from transducer.data.sequences import Sequences
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.encoders.patch_embedding import PatchEmbeddingConfig
from transducer.frontends.frames import FramesConfig
from transducer.frontends.patches import PatchesConfig
from transducer.heads.attention import AttentionConfig
from transducer.model.config import CoreConfig, EncoderConfig, FrontendConfig, ModelConfig
from transducer.text.tokenizers.symbols import Symbols
from transducer.training.checks import check_part
from transducer.training.exact import ExactSequences
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

HEIGHT, WIDTH, STRIP, PATCH = 32, 64, 8, 8  # pixels
SIZES = {"small": 5, "big": 8}  # pixels from the middle to the edge
COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 80, 230), "yellow": (230, 210, 40),
           "white": (240, 240, 240), "purple": (170, 50, 210), "orange": (240, 130, 30),
           "cyan": (60, 210, 220)}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "cross", "ring", "diamond", "bar")
PLACES = ("left of", "above")
Cut = Callable[[np.ndarray], np.ndarray]  # a picture -> (T, ...), the steps that are attended to
PARTS = {"train": 0, "dev": 1, "test": 2}


class Thing(NamedTuple):
    size: str
    colour: str
    shape: str


def recipe(
    data: Path,
    quick: bool = False,
    *,
    decoder: str = "transformer",
    attention: str = "additive",
    channels: int = 96,
    dropout: float = 0.3,
    forget: float = 0.3,
    scenes: int = 20_000,
    part: str = "test",
    steps: int = 2000,
    batch_scenes: int = 64,
    learning_rate: float = 2e-3,
    matrix_learning_rate: float = 0.02,
    seed: int = 1,
) -> Recipe:
    """A CNN on each strip and two layers over them, or one CNN over all patches; and a decoder.

    Args:
        data: is not read.
        dropout: of the decoder, which otherwise learns by heart what goes with what.
        forget: see `AttentionConfig`, of a recurrent decoder.
        decoder: "transformer", or "gru" or "lstm" with this `attention`, which attends to patches.
        scenes: to learn from.
        part: what is measured, "dev" or "test".
    """
    check_part(part)
    frontend: FrontendConfig = FramesConfig(HEIGHT, STRIP)
    encoder: EncoderConfig = FrameCNNConfig((16, 32, 48), grid=(4, 1))
    core: CoreConfig = FullTransformerConfig(channels, 4, 3 * channels, 2)
    head = AttentionConfig("words", channels=channels, layers=2, dropout=dropout, smoothing=0.0)
    cut: Cut = strips
    steps_of_scene = WIDTH // STRIP
    if decoder != "transformer":
        frontend = patches = PatchesConfig(HEIGHT, WIDTH, PATCH)
        medium = patches.medium()
        cut, steps_of_scene = medium.check, medium.count
        encoder = PatchEmbeddingConfig((16, 32, 48, 64), (2, 2, 2, 1))
        core = IndependentConfig(channels, 2 * channels, 1)
        head = AttentionConfig("words", decoder, attention, channels, 1, dropout=dropout, smoothing=0.0, forget=forget)
    words = {*SIZES, *COLOURS, *SHAPES, "a", *" ".join(PLACES).split()}
    units = Symbols(sorted(words))
    phase = Phase(
        "train",
        20 if quick else steps,
        (HeadLoss("text"),),
        batch_frames=batch_scenes * steps_of_scene,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        warmup=50,
        average_decay=0.99,
        bf16=False,
    )
    return Recipe(
        name="captioning",
        model=ModelConfig(
            frontend=frontend,
            encoder=encoder,
            core=core,
            heads={"text": head},
            chunks=(1,),
            language="en",
        ),
        units={"words": units},
        train=pairs("train", 100 if quick else scenes, units, "drawn scenes", cut),
        dev=pairs(part, 10 if quick else 1000, units, f"scenes with things that were never in training ({part})", cut),
        phases=(phase,),
        evaluate=ExactSequences("text"),
        seed=seed,
        workers=0,
        evaluate_every=500,
        save_every=200,
    )


def pairs(part: str, count: int, units: Symbols, title: str, cut: Cut) -> Sequences:
    """Scenes as examples: strips or patches of pixels in, words out."""
    made = [scene(np.random.default_rng([PARTS[part], number]), part) for number in range(count)]
    x = [steps.reshape(len(steps), -1) for steps in (cut(picture) for picture, _ in made)]
    return Sequences(x, [units.encode(caption) for _, caption in made], [caption for _, caption in made], title)


def strips(picture: np.ndarray) -> np.ndarray:
    """A scene (HEIGHT, WIDTH, 3) as the frames that the model takes, (WIDTH / STRIP, HEIGHT, STRIP, 3)."""
    return np.ascontiguousarray(picture.reshape(HEIGHT, WIDTH // STRIP, STRIP, 3).swapaxes(0, 1))


def things(part: str) -> list[Thing]:
    """The things that scenes of this part have; each held-out one has no size, colour or shape that is not known."""
    everything = [Thing(*kind) for kind in itertools.product(SIZES, COLOURS, SHAPES)]
    order = np.random.default_rng(0).permutation(len(everything))
    chosen = {"dev": order[:10], "test": order[10:20], "train": order[20:]}[part]
    return [everything[number] for number in chosen]


def scene(rng: np.random.Generator, part: str) -> tuple[np.ndarray, str]:
    """A picture, uint8 (HEIGHT, WIDTH, 3), and what is on it; one thing at least is of this part."""
    own, known = things(part), things("train")
    both = [own[int(rng.integers(len(own)))], known[int(rng.integers(len(known)))]]
    rng.shuffle(both)  # type: ignore[arg-type]
    place = PLACES[int(rng.integers(2))]
    picture = rng.integers(0, 60, (1, 1, 3)) + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    if place == "left of":
        middles = [(rng.integers(9, 24), rng.integers(9, 23)), (rng.integers(9, 24), rng.integers(41, 55))]
    else:
        column = int(rng.integers(10, 54))
        middles = [(rng.integers(8, 9), column), (rng.integers(24, 25), column + int(rng.integers(-2, 3)))]
    for thing, (row, column) in zip(both, middles, strict=True):
        shown = _covers(thing.shape, SIZES[thing.size] - (place == "above"), int(row), int(column))
        picture[shown] = np.array(COLOURS[thing.colour]) + rng.normal(0, 10, 3)
    first, second = (f"a {thing.size} {thing.colour} {thing.shape}" for thing in both)
    return picture.clip(0, 255).astype(np.uint8), f"{first} {place} {second}"


def _covers(shape: str, reach: int, row: int, column: int) -> np.ndarray:
    """(HEIGHT, WIDTH) bool: where a shape is."""
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    y, x = (down - row) / reach, (across - column) / reach
    distance = np.hypot(x, y)
    inside = (abs(x) <= 1) & (abs(y) <= 1)
    found: np.ndarray = {
        "circle": distance <= 1,
        "ring": (distance <= 1) & (distance > 0.55),
        "square": inside & (np.maximum(abs(x), abs(y)) <= 0.85),
        "triangle": inside & (abs(x) <= (y + 1) / 2),
        "cross": inside & (np.minimum(abs(x), abs(y)) <= 0.3),
        "diamond": abs(x) + abs(y) <= 1,
        "bar": inside & (abs(y) <= 0.35),
    }[shape]
    return found
