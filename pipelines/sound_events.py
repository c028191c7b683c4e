"""One label for a recording: ten kinds of sound (ESC-10).

    transducer train pipelines/sound_events.py --data noise.tsv --output runs/sound-events
    transducer label rooster.wav --model runs/sound-events/sounds

The table has the columns `path` and `label`. Names of files are ESC's own, FOLD-RECORDING-TAKE: clips from one
recording are all in one fold. One fold is held out and measured; nothing of it is trained on. While settings are tuned,
`--set held_out=4 --set unseen=5` measures on another fold and leaves that of the reported figure alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transducer.cores.independent import IndependentConfig
from transducer.cores.tcn import TCNConfig
from transducer.data.augment.features import AugmentConfig
from transducer.data.item import Item
from transducer.data.labelled_sounds import LabelledSounds
from transducer.data.table import read_table
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.encoders.images.spectrogram import SpectrogramEncoderConfig
from transducer.encoders.images.weights import PACKAGED
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.pooled import PooledConfig
from transducer.model.config import ModelConfig
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.labels import Labels
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

FRONTEND = LogMelConfig(bins=40, window=640, hop=320)  # of 20 ms: sounds are coarser than speech
BACKGROUND = "background"  # label of recordings that are only mixed in
LICENCE = "CC BY 3.0 (ESC-10), CC BY 4.0 (Speech Commands backgrounds)"


def recipe(
    data: Path,
    quick: bool = False,
    *,
    held_out: int = 5,
    unseen: int = 0,
    encoder: str = "efficientnet-lite0",
    fine_tune: bool = False,
    channels: int = 96,
    layers: int = 4,
    hidden: int = 32,
    pooled: int = 64,
    dropout: float = 0.1,
    doubled: float = 0.0,
    steps: int = 150,
    batch_frames: int = 8000,
    learning_rate: float = 4e-3,
    matrix_learning_rate: float = 0.02,
    bf16: bool = False,
    seed: int = 1,
) -> Recipe:
    """An image network that looks at five seconds of log-mel features as a picture, and a mean over time.

    Args:
        data: the table.
        encoder: "efficientnet-lite0", with its published weights; or "cnn", a small causal network that begins with
            nothing: `--set encoder=cnn --set steps=1500 --set batch_frames=2000 --set doubled=0.5`.
        fine_tune: the image network learns too, at a tenth of the rate.
        held_out: the fold that is measured. unseen: a fold that is left out altogether; 0 for none.
    """
    items = read_table(data, needs="label").items
    labels = Labels(sorted({item.label for item in items if item.label and item.label != BACKGROUND}))
    numbers = {name: labels.id(name) for name in labels.names}
    train, dev = by_fold([item for item in items if item.label in numbers], held_out, unseen)
    if not train or not dev:
        raise UsageError(f"{data}: nothing is in fold {held_out}, or nothing but that")
    frontend, network = _network(encoder, fine_tune, channels, layers, hidden, dropout)
    # A network that stays as it is has seen no masks, and nothing that learns could get used to them.
    learns = fine_tune or encoder == "cnn"
    masks = AugmentConfig(frequency_mask_bins=frontend.bins // 5, time_mask_every=125, time_mask_frames=30)
    phase = Phase(
        "train",
        10 if quick else steps,
        (HeadLoss("labels"),),
        batch_frames=2000 if quick else batch_frames,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        weight_decay=0.05,
        warmup=10,
        average_decay=0.95,
        bf16=bf16,
    )
    return Recipe(
        name="sounds",
        model=replace(network, heads={"labels": PooledConfig("labels", pooled)}, events=EventRules("clip")),
        units={"labels": labels},
        train=LabelledSounds(
            train,
            numbers,
            frontend,
            speeds=(0.9, 1.0, 1.1),
            augment=masks if learns else None,
            noise=[item for item in items if item.label == BACKGROUND],
            roll=True,
            doubled=doubled,
            name="ESC-10",
            licence=LICENCE,
        ),
        dev=LabelledSounds(dev, numbers, frontend, name=f"fold {held_out} of ESC-10"),
        phases=(phase,),
        seed=seed,
        workers=0,
        evaluate_every=50,
        save_every=200,
    )


def _network(
    encoder: str, fine_tune: bool, channels: int, layers: int, hidden: int, dropout: float
) -> tuple[LogMelConfig, ModelConfig]:
    """The front-end, and a model without heads.

    Raises:
        UsageError: there is no such encoder.
    """
    if encoder == "cnn":
        core = TCNConfig(channels, 2 * channels, layers, dropout=dropout)
        return FRONTEND, ModelConfig(frontend=FRONTEND, encoder=ConvSubsamplingConfig(hidden), core=core, chunks=(8,))
    if encoder != PACKAGED:
        raise UsageError(f"unknown encoder {encoder!r}: there are cnn, {PACKAGED}")
    frontend = replace(FRONTEND, bins=128, hop=160)  # as fine as a photograph
    pictures = SpectrogramEncoderConfig(weights=encoder, frozen=not fine_tune, grid=(4, 1), dropout=dropout, window=500)
    core = IndependentConfig(channels, 2 * channels, 1, dropout=dropout)
    return frontend, ModelConfig(frontend=frontend, encoder=pictures, core=core, chunks=(1,))


def by_fold(sounds: list[Item], held_out: int, unseen: int) -> tuple[list[Item], list[Item]]:
    """Those to learn from, and those of the fold that is held out; none of the unseen fold."""
    train = [item for item in sounds if fold(item) not in (held_out, unseen)]
    return train, [item for item in sounds if fold(item) == held_out]


def fold(item: Item) -> int:
    """Of ESC's five, 1 to 5, as the file's name says. Raises UsageError where it does not."""
    first = item.path.name.partition("-")[0]
    if first not in ("1", "2", "3", "4", "5"):
        raise UsageError(f"{item.path.name} does not begin with the number of a fold, 1 to 5, and a hyphen")
    return int(first)
