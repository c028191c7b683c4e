"""Train a small streaming speech recogniser on your own recordings, from nothing but a table of paths and texts.

    transducer train pipelines/characters_ctc.py --data my-data --output runs/mine

reads `my-data/train.tsv` and, for the error rates on the way, `my-data/dev.tsv`: TSV files with the columns `path`
and `text`, or JSON lines with these keys; paths are relative to the table. Every setting below can be changed by
`--set NAME=VALUE`, for example

    --set train=digits.jsonl --set dev=none     other tables, no evaluation
    --set decoder=rnnt                          a recurrent neural network transducer instead of CTC
    --set initial=path/to/checkpoint            start from a model with the same encoder instead of from nothing
"""

from __future__ import annotations

from pathlib import Path

from transducer.cores.conformer import ConformerConfig
from transducer.data.augment.features import AugmentConfig
from transducer.errors import UsageError
from transducer.heads.ctc import CTCConfig
from transducer.heads.rnnt import RNNTConfig
from transducer.model.config import ModelConfig
from transducer.text.tokenizers.characters import ENGLISH, Characters
from transducer.training.recipe import Phase, Recipe, Table


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
    frames_per_batch: int = 12000,
    learning_rate: float = 1e-3,
    matrix_learning_rate: float = 0.01,
    initial: str | None = None,
    licence: str = "",
    name: str = "speech",
    seed: int = 1,
) -> Recipe:
    """A Conformer of about 2.5 M parameters on characters.

    Args:
        data: the folder of the tables.
        decoder: "ctc", or "rnnt" with a `predictor` "stateless" or "lstm".
        alphabet: the characters of the texts, which are lower-cased and freed of punctuation first.
        licence: of the recordings, for the model's card.
    """
    if decoder not in ("ctc", "rnnt"):
        raise UsageError(f"unknown decoder {decoder!r}: there are ctc, rnnt")
    head = CTCConfig("characters") if decoder == "ctc" else RNNTConfig("characters", predictor, channels)
    rows = 12 if quick else None
    return Recipe(
        name=name,
        model=ModelConfig(
            core=ConformerConfig(channels=channels, heads=4, hidden=3 * channels, layers=layers),
            heads={decoder: head},
            chunks=(8, 16, 32),  # 320, 640 and 1280 ms: users choose their latency among these
        ),
        units={"characters": Characters(alphabet)},
        train=(Table(data / train, licence=licence, rows=rows),),
        dev=Table(data / dev, rows=rows) if dev else None,
        noise=Table(data / noise, rows=rows) if noise else None,
        phases=(
            Phase(
                decoder,
                steps=10 if quick else steps,
                losses={f"{decoder}:{decoder}": 1.0},
                frames_per_batch=2000 if quick else frames_per_batch,
                learning_rate=learning_rate,
                matrix_learning_rate=matrix_learning_rate,
                warmup=100,
                augment=AugmentConfig(),
                average_decay=0.995,
            ),
        ),
        initial=Path(initial) if initial else None,
        seed=seed,
        evaluate_every=400,
        save_every=100,
    )
