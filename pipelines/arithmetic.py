"""Sums and differences as a translation: "125+67" -> "192", by a Transformer that reads all and writes digit by digit.

    transducer train pipelines/arithmetic.py --output runs/arithmetic
    transducer predict runs/arithmetic/arithmetic 125+67 3-999

Every question has two numbers below 1000 and + or -. What is measured was never in training; `--set part=dev` while
settings are tuned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transducer.cores.full_attention import FullTransformerConfig
from transducer.data.sequences import Sequences
from transducer.encoders.projection import ProjectionConfig
from transducer.frontends.symbols import SymbolsConfig
from transducer.heads.attention import AttentionConfig
from transducer.model.config import ModelConfig
from transducer.text.tokenizers.characters import Characters
from transducer.training.checks import check_part
from transducer.training.exact import ExactSequences
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

BELOW = 1000
HELD_OUT = 4000  # questions: half of them to tune on, half to measure


def recipe(
    data: Path,
    quick: bool = False,
    *,
    channels: int = 96,
    layers: int = 2,
    questions: int = 300_000,
    part: str = "test",
    steps: int = 2000,
    batch_frames: int = 1200,
    learning_rate: float = 2e-3,
    matrix_learning_rate: float = 0.02,
    seed: int = 1,
) -> Recipe:
    """Two layers that read and two that write, with multi-head attention between them.

    Args:
        data: is not read.
        questions: to learn from.
        part: which questions are measured, "dev" or "test".
    """
    check_part(part)
    units = Characters("0123456789+-")
    held_out, train = split(2000 if quick else questions)
    half = HELD_OUT // 2
    measured = held_out[:half] if part == "dev" else held_out[half:]
    phase = Phase(
        "train",
        20 if quick else steps,
        (HeadLoss("text"),),
        batch_frames=batch_frames,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        warmup=100,
        average_decay=0.99,
        bf16=False,
    )
    return Recipe(
        name="arithmetic",
        model=ModelConfig(
            frontend=SymbolsConfig(len(units), "characters", channels),
            encoder=ProjectionConfig(),
            core=FullTransformerConfig(channels, 4, 3 * channels, layers),
            heads={"text": AttentionConfig("characters", channels=channels, layers=layers, smoothing=0.0, extra=8)},
            chunks=(1,),
        ),
        units={"characters": units},
        train=pairs(train, units, "sums and differences"),
        dev=pairs(measured[: 20 if quick else None], units, f"questions that were never in training ({part})"),
        phases=(phase,),
        evaluate=ExactSequences("text"),
        seed=seed,
        workers=0,
        evaluate_every=200,
        save_every=100,
    )


def split(questions: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the questions that are held out, and of those to learn from; none is in both.

    What is held out is drawn from all questions alike, of which four in five have two numbers of three digits. Of those
    to learn from half are drawn by how many digits their numbers have, so that short ones are no rarity.
    """
    rng = np.random.default_rng(0)
    drawn = rng.permutation(2 * BELOW * BELOW)[: HELD_OUT + questions // 2]
    held_out, learned = drawn[:HELD_OUT], drawn[HELD_OUT:]
    first, second = rng.integers(0, 10 ** rng.integers(1, 4, (2, 2 * questions))) % BELOW
    short = (rng.integers(0, 2, 2 * questions) * BELOW + first) * BELOW + second
    short = short[~np.isin(short, held_out)][: questions - len(learned)]
    return held_out, np.concatenate([learned, short])


def question(number: int) -> tuple[str, str]:
    """One of the 2 * BELOW * BELOW questions, and its answer."""
    rest, second = divmod(number, BELOW)
    minus, first = divmod(rest, BELOW)
    return f"{first}{'+-'[minus]}{second}", str(first - second if minus else first + second)


def pairs(numbers: np.ndarray, units: Characters, title: str) -> Sequences:
    """Questions as examples: characters in, characters out."""
    texts = [question(int(number)) for number in numbers]
    x = [np.array(units.encode(text), np.float32)[:, None] for text, _ in texts]
    return Sequences(x, [units.encode(answer) for _, answer in texts], [text for text, _ in texts], title)
