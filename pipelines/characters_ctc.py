"""Train a small streaming speech recogniser on your own recordings, from nothing but a table of paths and texts.

    transducer train pipelines/characters_ctc.py --data table.tsv --output runs/mine

reads a table with the columns `path` and `text`, or JSON lines with these keys; paths are relative to the table. About
a tenth of it is held out for the error rates on the way: what the column `split` says, or else some of the speakers.
Where `--data` is a folder, it has train.tsv and, for the error rates, dev.tsv. Every setting below can be changed by
`--set NAME=VALUE`, for example

    --set train=digits.jsonl --set dev=none     other tables of the folder, no evaluation
    --set decoder=rnnt                          a recurrent neural network transducer instead of CTC
    --set initial=path/to/checkpoint            start from a model with the same encoder instead of from nothing
"""

from __future__ import annotations

from pathlib import Path

import torch

from transducer.cores.conformer import ConformerConfig
from transducer.data.augment.features import AugmentConfig
from transducer.data.recordings import Dataset, Recordings
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.rnnt import RNNTConfig
from transducer.model.config import ModelConfig
from transducer.text.tokenizers.characters import ENGLISH, Characters
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe
from transducer.training.words import WordErrors


def recipe(
    data: Path,
    quick: bool = False,
    *,
    train: str = "train.tsv",
    dev: str | None = "dev.tsv",
    noise: str | None = None,
    decoder: str = "ctc",
    predictor: str = "stateless",
    alphabet: str = ENGLISH,
    channels: int = 144,
    layers: int = 6,
    steps: int = 4000,
    batch_frames: int = 12000,
    learning_rate: float = 1e-3,
    matrix_learning_rate: float = 0.01,
    initial: str | None = None,
    licence: str = "",
    name: str = "speech",
    seed: int = 1,
) -> Recipe:
    """A Conformer of about 2.5 M parameters on characters.

    Args:
        data: the table, or the folder of the tables.
        decoder: "ctc", or "rnnt" with a `predictor` "stateless" or "lstm".
        alphabet: the characters of the texts, which are lower-cased and freed of punctuation first.
        licence: of the recordings, for the model's card.
    """
    if decoder not in ("ctc", "rnnt"):
        raise UsageError(f"unknown decoder {decoder!r}: there are ctc, rnnt")
    head = CTCConfig("characters") if decoder == "ctc" else RNNTConfig("characters", predictor, channels)
    units, frontend = {"characters": Characters(alphabet)}, LogMelConfig()
    learned, measured = datasets(data, train, dev, licence, 12 if quick else None)
    clips = Dataset(data / noise, rows=12 if quick else None) if noise else None
    texts = {decoder: units["characters"]}
    phase = Phase(
        decoder,
        10 if quick else steps,
        (HeadLoss(decoder),),
        batch_frames=2000 if quick else batch_frames,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        warmup=100,
        average_decay=0.995,
    )
    return Recipe(
        name=name,
        model=ModelConfig(
            frontend=frontend,
            core=ConformerConfig(channels=channels, heads=4, hidden=3 * channels, layers=layers),
            heads={decoder: head},
            chunks=(8, 16, 32),  # 320, 640 and 1280 ms: users choose their latency among these
        ),
        units=units,
        train=Recordings(
            (learned,),
            texts,
            frontend,
            speeds=(0.9, 1.0, 1.1),
            augment=AugmentConfig(),
            noise=clips,
            workers=torch.get_num_threads(),
        ),
        dev=Recordings((measured,), texts, frontend) if measured else None,
        phases=(phase,),
        evaluate=WordErrors(units, [decoder]),
        initial=Path(initial) if initial else None,
        seed=seed,
        evaluate_every=400,
        save_every=100,
    )


def datasets(data: Path, train: str, dev: str | None, licence: str, rows: int | None) -> tuple[Dataset, Dataset | None]:
    """What is trained on and what is held out: two parts of one table, or two tables of a folder."""
    if data.is_dir():
        learned = Dataset(data / train, licence=licence, rows=rows)
        return learned, Dataset(data / dev, rows=rows) if dev else None
    if not dev:
        return Dataset(data, licence=licence, rows=rows), None
    held_out = Dataset(data, rows=rows, split="dev")
    if not held_out.read():
        return Dataset(data, licence=licence, rows=rows), None  # too few to hold any out
    return Dataset(data, licence=licence, rows=rows, split="train"), held_out
