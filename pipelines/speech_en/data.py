"""The recordings and texts of `speech-en`: which tables, how their words are pronounced, what nobody read out."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.speech_en.speech import Speech
from pipelines.speech_en.targets import Targets
from pipelines.speech_en.word_lm import pronounce, train_g2p
from pipelines.speech_en.word_text import normalise
from transducer.data.recordings import Dataset
from transducer.text.english.g2p import GraphemeToPhoneme
from transducer.text.english.lexicon import Pronunciations
from transducer.text.tokenizers.subwords import Subwords
from transducer.text.tokenizers.tokenizer import Tokenizer


def training(
    data: Path,
    quick: bool,
    units: Mapping[str, Tokenizer],
    heads: Mapping[str, str],
    *,
    more: Sequence[Dataset] = (),
    speeds: Sequence[float] = (0.9, 1.0, 1.1),
    variants: Sequence[tuple[str, float]] = (("reverb", 1.0), ("codec", 1.0)),
    aligned: bool = True,
    texts: Callable[[], Sequence[str]] | None = None,
    **options: Any,
) -> Speech:
    """What is trained on.

    Args:
        units: name of units -> tokenizer; heads: name of head -> name of units.
        more: tables to train on as well.
        speeds: of the copies of each recording; variants: further copies.
        aligned: whether to read the alignments. texts: gives what nobody read out.
        options: see `Speech` and `Recordings`.
    """
    speech, rows = data / "speech", 40 if quick else None
    return Speech(
        (
            Dataset(
                speech / "librispeech-train.tsv",
                "LibriSpeech (train-clean-5 and a part of train-clean-100)",
                "CC BY 4.0",
                rows,
            ),
            Dataset(speech / "speechocean-train.tsv", "speechocean762 (train)", "CC BY 4.0", rows),
            Dataset(speech / "vctk-p239.tsv", "VCTK (speaker p239)", "CC BY 4.0", rows),
            *more,
        ),
        units,
        heads,
        alignments=speech / "phone-alignments.tsv" if aligned else None,
        texts=texts,
        also=_dev(data, quick),
        speeds=speeds,
        variants=variants,
        noise=_noise(data, rows),
        **_pronouncing(data, quick),
        **options,
    )


def more_recordings(data: Path, quick: bool) -> tuple[Dataset, ...]:
    """4.3 hours more, of 22 readers."""
    speech, rows = data / "speech", 40 if quick else None
    return (
        Dataset(speech / "librispeech-devclean.tsv", "LibriSpeech (half of dev-clean)", "CC BY 4.0", rows),
        Dataset(speech / "cathy.tsv", "Arctic prompts, read by Cathy", "CC0", rows),
        Dataset(speech / "ljspeech.tsv", "LJ Speech 1.1 (the first 385)", "public domain", rows),
    )


def measured(
    data: Path,
    quick: bool,
    units: Mapping[str, Tokenizer],
    heads: Mapping[str, str],
    spoken: Targets,
    **options: Any,
) -> Speech:
    """What is measured and never trained on: see `Speech`."""
    options = {"noise": _noise(data) if options.get("augment") else None, **_pronouncing(data, quick), **options}
    return Speech(_dev(data, quick), units, heads, spoken=spoken, **options)


def _dev(data: Path, quick: bool) -> tuple[Dataset, ...]:
    return (Dataset(data / "speech" / "librispeech-dev.tsv", rows=6 if quick else None),)


def _noise(data: Path, rows: int | None = None) -> Dataset:
    return Dataset(
        data / "noise" / "noise.tsv", "ESC-10 and the backgrounds of Speech Commands", "CC BY 3.0, CC BY 4.0", rows
    )


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


def sentences(data: Path, novels: int | None = None, seed: int = 1, shortest: int = 4, longest: int = 24) -> list[str]:
    """Stretches of the transcripts, all of them, and so many sentences of the novels, or all; lengths in words."""
    rng = np.random.default_rng(seed)
    result = []
    for line in (data / "text" / "librispeech-train-transcripts.txt").read_text().splitlines():
        words = line.split()
        while words:
            length = int(rng.integers(6, longest + 1))
            result.append(" ".join(words[:length]))
            words = words[length:]
    with lzma.open(data / "text" / "novels.txt.xz", "rt", encoding="utf-8") as file:
        lines = file.readlines()
    for number in rng.permutation(len(lines))[:novels]:
        words = normalise(lines[number])
        if len(words) >= shortest:
            first = int(rng.integers(max(1, len(words) - longest)))
            result.append(" ".join(words[first : first + longest]))
    return result
