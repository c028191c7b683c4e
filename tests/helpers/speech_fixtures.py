"""Tones as the recordings of `pipelines/speech_en` are: with a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tones import TEXTS, write_tones
from training_fixtures import UNITS

from pipelines.speech_en.measures import SpeechErrors
from pipelines.speech_en.speech import Speech
from transducer.data.pairs import PairSource
from transducer.data.recordings import Dataset
from transducer.model.config import ModelConfig
from transducer.training.recipe import Phase, Recipe

HEADS = {"characters": "characters", "phones": "phones"}


def tone_speech(
    folder: Path,
    heads: dict[str, str] | None = None,
    texts: Sequence[str] = TEXTS,
    *,
    prepare: bool = False,
    **how: Any,
) -> Speech:
    """Recordings of tones in `folder`; prepared if that is asked for."""
    table = write_tones(folder, tuple(texts))
    words = sorted({word for text in texts for word in text.split()})
    lexicon = folder / "words.dict"
    lexicon.write_text("".join(f"{word} {' '.join(word.upper())}\n" for word in words))
    options = {"lexicon": lexicon, "speeds": (1.0, 1.1), **how}
    speech = Speech((Dataset(table, "Tones", "CC0"),), UNITS, heads or HEADS, **options)
    if prepare:
        speech.prepare(folder / "cache", progress=False)
    return speech


def speech_recipe(
    train: Speech, model: ModelConfig, phases: tuple[Phase, ...], dev: PairSource | None = None
) -> Recipe:
    return Recipe(
        name="tones",
        model=model,
        units=UNITS,
        train=train,
        dev=dev,
        phases=phases,
        evaluate=SpeechErrors(UNITS),
        workers=0,
        evaluate_every=4,
        save_every=3,
    )
