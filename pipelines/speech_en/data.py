"""The recordings and texts of `speech-en`: which tables, and how their words are pronounced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from pipelines.speech_en.speech import Speech
from pipelines.speech_en.word_lm import pronounce, train_g2p
from transducer.data.recordings import Dataset
from transducer.text.english.g2p import GraphemeToPhoneme
from transducer.text.english.lexicon import Pronunciations
from transducer.text.tokenizers.subwords import Subwords
from transducer.text.tokenizers.tokenizer import Tokenizer


def training(
    data: Path, quick: bool, units: Mapping[str, Tokenizer], heads: Mapping[str, str], **options: Any
) -> Speech:
    """What is trained on: 14 hours. `options`: see `Speech` and `Recordings`."""
    rows = 8 if quick else None
    tables = (
        ("librispeech-train", "LibriSpeech (train-clean-5 and a part of train-clean-100)", "CC BY 4.0"),
        ("speechocean-train", "speechocean762 (train)", "CC BY 4.0"),
        ("vctk-p239", "VCTK (speaker p239)", "CC BY 4.0"),
        ("librispeech-devclean", "LibriSpeech (half of dev-clean)", "CC BY 4.0"),
        ("cathy", "Arctic prompts, read by Cathy", "CC0"),
        ("ljspeech", "LJ Speech 1.1 (the first 385)", "public domain"),
    )
    return Speech(
        [Dataset(data / "speech" / f"{table}.tsv", name, licence, rows) for table, name, licence in tables],
        units,
        heads,
        also=_dev(data, quick),
        noise=Dataset(
            data / "noise" / "noise.tsv", "ESC-10 and the backgrounds of Speech Commands", "CC BY 3.0, CC BY 4.0", rows
        ),
        **_pronouncing(data, quick),
        **options,
    )


def measured(
    data: Path, quick: bool, units: Mapping[str, Tokenizer], heads: Mapping[str, str], **options: Any
) -> Speech:
    """What is measured and never trained on; `options` as for `training`."""
    return Speech(_dev(data, quick), units, heads, **_pronouncing(data, quick), **options)


def _dev(data: Path, quick: bool) -> tuple[Dataset, ...]:
    return (Dataset(data / "speech" / "librispeech-dev.tsv", rows=6 if quick else None),)


def _pronouncing(data: Path, quick: bool) -> dict[str, Any]:
    return {
        "lexicon": data / "lexicon" / "cmudict.dict",
        "pronounce": pronounce_a_little if quick else pronounce_unknown,
        "workers": torch.get_num_threads(),
    }


def pronounce_unknown(words: Sequence[str], dictionary: Pronunciations) -> Pronunciations:
    """Words that the dictionary lacks, a fifth of the utterances has one: by rule, or by a model made of the rest."""
    return pronounce(words, dictionary, GraphemeToPhoneme(train_g2p(dictionary, order=6, threshold=0.0)))[0]


def pronounce_a_little(words: Sequence[str], dictionary: Pronunciations) -> Pronunciations:
    """The same with less of the dictionary: faster, and worse."""
    part = {word: dictionary[word] for word in list(dictionary)[::20]}
    return pronounce(words, dictionary, GraphemeToPhoneme(train_g2p(part, order=3, threshold=0.0)))[0]


def pieces(data: Path, quick: bool, size: int) -> Subwords:
    """Byte pairs of the transcripts: most words are one of them."""
    with open(data / "text" / "librispeech-train-transcripts.txt", encoding="utf-8") as file:
        return Subwords.train([line.strip() for line in islice(file, 2000 if quick else None)], size)
