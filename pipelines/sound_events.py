"""One label for a recording: ten kinds of sound (ESC-10).

    transducer train pipelines/sound_events.py --data noise.tsv --output runs/sound-events
    transducer label rooster.wav --model runs/sound-events/sounds

The table has the columns `path` and `label`. Names of files are ESC's own, FOLD-RECORDING-TAKE: clips from one
recording are all in one fold. One fold is held out and measured; nothing of it is trained on. While settings are tuned,
`--set held_out=4 --set unseen=5` measures on another fold and leaves that of the reported figure alone.
"""

from __future__ import annotations

from pathlib import Path

from transducer.cores.tcn import TCNConfig
from transducer.data.augment.features import AugmentConfig
from transducer.data.item import Item
from transducer.data.labelled_sounds import LabelledSounds
from transducer.data.table import read_table
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
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
    channels: int = 96,
    layers: int = 4,
    hidden: int = 32,
    pooled: int = 64,
    dropout: float = 0.2,
    doubled: float = 0.5,
    steps: int = 1500,
    batch_frames: int = 2000,
    learning_rate: float = 2e-3,
    matrix_learning_rate: float = 0.01,
    seed: int = 1,
) -> Recipe:
    """A causal convolutional network and a mean over time.

    Args:
        data: the table.
        held_out: the fold that is measured. unseen: a fold that is left out altogether; 0 for none.
    """
    items = read_table(data, needs="label").items
    labels = Labels(sorted({item.label for item in items if item.label and item.label != BACKGROUND}))
    numbers = {name: labels.id(name) for name in labels.names}
    sounds = [item for item in items if item.label in numbers]
    train = [item for item in sounds if fold(item) not in (held_out, unseen)]
    dev = [item for item in sounds if fold(item) == held_out]
    if not train or not dev:
        raise UsageError(f"{data}: nothing is in fold {held_out}, or nothing but that")
    augment = AugmentConfig(frequency_mask_bins=8, time_mask_every=125, time_mask_frames=30)
    phase = Phase(
        "train",
        10 if quick else steps,
        (HeadLoss("labels"),),
        batch_frames=2000 if quick else batch_frames,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        weight_decay=0.05,
        average_decay=0.99,
    )
    return Recipe(
        name="sounds",
        model=ModelConfig(
            frontend=FRONTEND,
            encoder=ConvSubsamplingConfig(hidden),
            core=TCNConfig(channels, 2 * channels, layers, dropout=dropout),
            heads={"labels": PooledConfig("labels", pooled)},
            events=EventRules("clip"),
            chunks=(8,),
        ),
        units={"labels": labels},
        train=LabelledSounds(
            train,
            numbers,
            FRONTEND,
            speeds=(0.9, 1.0, 1.1),
            augment=augment,
            noise=[item for item in items if item.label == BACKGROUND],
            roll=True,
            doubled=doubled,
            name="ESC-10",
            licence=LICENCE,
        ),
        dev=LabelledSounds(dev, numbers, FRONTEND, name=f"fold {held_out} of ESC-10"),
        phases=(phase,),
        seed=seed,
        workers=0,
        evaluate_every=250,
        save_every=500,
    )


def fold(item: Item) -> int:
    """Of ESC's five, 1 to 5, as the file's name says. Raises UsageError where it does not."""
    first = item.path.name.partition("-")[0]
    if first not in ("1", "2", "3", "4", "5"):
        raise UsageError(f"{item.path.name} does not begin with the number of a fold, 1 to 5, and a hyphen")
    return int(first)
