"""Korean number words and dates to English ones and back: one model for both ways, which tells by the script.

    transducer train pipelines/translation.py --output runs/translation
    transducer predict runs/translation/translation "천구백팔십사년 삼월 이십삼일" "six thousand twelve"

Both languages are spelled in pieces of one sentencepiece vocabulary. What is measured was never in training, in neither
direction; `--set part=dev` while settings are tuned.
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
from transducer.text.tokenizers.subwords import Subwords
from transducer.training.checks import check_part
from transducer.training.exact import ExactSequences
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

HELD_OUT = 1000  # meanings: half of them to tune on, half to measure, each in both directions
SINO = ["", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구"]
ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
MONTHS = (
    "january february march april may june july august september october november december".split(),
    "일월 이월 삼월 사월 오월 유월 칠월 팔월 구월 시월 십일월 십이월".split(),
)
ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
            "twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth"}  # fmt: skip


def recipe(
    data: Path,
    quick: bool = False,
    *,
    channels: int = 96,
    layers: int = 2,
    meanings: int = 30_000,
    pieces: int = 200,
    part: str = "test",
    steps: int = 1500,
    batch_frames: int = 1000,
    learning_rate: float = 2e-3,
    matrix_learning_rate: float = 0.02,
    seed: int = 1,
) -> Recipe:
    """Two Transformer layers that read and two that write.

    Args:
        data: is not read.
        meanings: numbers and dates to learn from, each in both directions.
        pieces: of the vocabulary.
        part: what is measured, "dev" or "test".
    """
    check_part(part)
    texts = draw(HELD_OUT + (300 if quick else meanings))
    held_out, train = texts[:HELD_OUT], texts[HELD_OUT:]
    half = HELD_OUT // 2
    measured = (held_out[:half] if part == "dev" else held_out[half:])[: 10 if quick else None]
    units = Subwords.train((text for both in train for text in both), pieces)
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
        name="translation",
        model=ModelConfig(
            frontend=SymbolsConfig(len(units), "pieces", channels),
            encoder=ProjectionConfig(),
            core=FullTransformerConfig(channels, 4, 3 * channels, layers),
            heads={"text": AttentionConfig("pieces", channels=channels, layers=layers, smoothing=0.0)},
            chunks=(1,),
        ),
        units={"pieces": units},
        train=pairs(train, units, "numbers and dates"),
        dev=pairs(measured, units, f"numbers and dates that were never in training, both ways ({part})"),
        phases=(phase,),
        evaluate=ExactSequences("text"),
        seed=seed,
        workers=0,
        evaluate_every=500,
        save_every=500,
    )


def pairs(texts: list[tuple[str, str]], units: Subwords, title: str) -> Sequences:
    """Every meaning as two examples: Korean to English, English to Korean."""
    both = [pair for korean, english in texts for pair in ((korean, english), (english, korean))]
    x = [np.array(units.encode(text), np.float32)[:, None] for text, _ in both]
    return Sequences(x, [units.encode(text) for _, text in both], [text for text, _ in both], title)


def draw(count: int) -> list[tuple[str, str]]:
    """Different numbers and dates, half and half, in Korean and in English."""
    rng, found = np.random.default_rng(0), dict[str, str]()
    while len(found) < count:
        if rng.random() < 0.5:
            number = int(rng.integers(10 ** int(rng.integers(1, 7))))
            found.setdefault(korean_number(number), english_number(number))
        else:
            year, month, day = int(rng.integers(1900, 2100)), int(rng.integers(12)), int(rng.integers(1, 29))
            found.setdefault(
                f"{korean_number(year)}년 {MONTHS[1][month]} {korean_number(day)}일",
                f"{MONTHS[0][month]} {english_ordinal(day)} {english_year(year)}",
            )
    return list(found.items())


def korean_number(number: int) -> str:
    """0 to 99,999,999 in Sino-Korean, with a space after the ten thousands: 120345 -> "십이만 삼백사십오"."""
    high, low = divmod(number, 10_000)
    parts = [f"{'' if high == 1 else _below_ten_thousand(high)}만"] if high else []
    return " ".join([*parts, *([_below_ten_thousand(low)] if low else [])]) or "영"


def _below_ten_thousand(number: int) -> str:
    text = ""
    for unit, name in ((1000, "천"), (100, "백"), (10, "십")):
        digit, number = divmod(number, unit)
        text += f"{SINO[digit] if digit > 1 else ''}{name}" if digit else ""
    return text + SINO[number]


def english_number(number: int) -> str:
    """0 to 999,999 in words, without "and"."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return " ".join([TENS[number // 10 - 2], *([ONES[number % 10]] if number % 10 else [])])
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = [english_number(number % unit)] if number % unit else []
    return " ".join([english_number(number // unit), name, *rest])


def english_ordinal(number: int) -> str:
    *before, last = english_number(number).split()
    return " ".join([*before, ORDINALS.get(last, f"{last}th")])


def english_year(year: int) -> str:
    """As it is read: 1984 in two halves, 1907 with "oh", 2005 as a number."""
    if 2000 <= year < 2010:
        return english_number(year)
    century, rest = divmod(year, 100)
    last = "hundred" if not rest else f"oh {ONES[rest]}" if rest < 10 else english_number(rest)
    return f"{english_number(century)} {last}"
