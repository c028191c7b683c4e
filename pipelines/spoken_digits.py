"""One label for a recording: a spoken digit, by a voice that was never heard before.

    transducer train pipelines/spoken_digits.py --data free-spoken-digits.tsv --output runs/spoken-digits
    transducer label seven.wav --model runs/spoken-digits/digits

The table has the columns `path`, `speaker` and `text`. The network is the encoder of the bundled `speech-en`, which
knows many voices and stays as it is, and a small layer after it; with `--set initial=none --set layers=4 --set
steps=1000 --set learning_rate=0.002` a small one learns all from the few voices of the table.
All recordings of one speaker are held out and measured. While settings are tuned, `--set held_out=george --set
unseen=yweweler` measures on another one and leaves that of the reported figure alone.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

from transducer.cores.tcn import TCNConfig
from transducer.data.augment.features import AugmentConfig
from transducer.data.labelled_sounds import LabelledSounds
from transducer.data.table import read_table
from transducer.encoders.conv_subsampling import ConvSubsamplingConfig
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.pooled import PooledConfig
from transducer.model.checkpoint import read_config
from transducer.model.config import ModelConfig
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.labels import Labels
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe


def recipe(
    data: Path,
    quick: bool = False,
    *,
    held_out: str = "yweweler",
    unseen: str = "",
    noise: str = "",
    quiet: int = 20,
    initial: str = "speech-en",
    channels: int = 96,
    layers: int = 1,
    hidden: int = 32,
    dropout: float = 0.2,
    fine_tune: bool = False,
    steps: int = 150,
    batch_frames: int = 3000,
    learning_rate: float = 6e-3,
    matrix_learning_rate: float = 0.02,
    seed: int = 1,
) -> Recipe:
    """The encoder of a speech recogniser and a mean over time. What makes other voices of few: speeds, which move the
    pitch, a stretched mel axis, as of longer and shorter vocal tracts, and SpecAugment.

    Args:
        data: the table.
        initial: a checkpoint, whose network it is, to start from; or "none" for a causal convolutional network of these
            `channels`, `layers` and `hidden`.
        fine_tune: the network of `initial` learns too.
        quiet: so many steps of 10 ms of quiet come before and after a recording. Digits are cut close, and a network
            that knows speech among other sound takes a sudden beginning for something else.
        held_out: the speaker that is measured. unseen: one that is left out altogether; "" for none.
        noise: a table of noises to mix in; none if empty.
    """
    items = [replace(item, label=item.text) for item in read_table(data, needs="text").items]
    labels = Labels(sorted({item.text for item in items}))
    numbers = {name: labels.id(name) for name in labels.names}
    train = [item for item in items if item.speaker not in (held_out, unseen)]
    dev = [item for item in items if item.speaker == held_out]
    if not train or not dev:
        speakers = ", ".join(sorted({item.speaker for item in items if item.speaker})) or "none"
        raise UsageError(
            f"{data}: held_out={held_out} leaves nothing to train on or to measure; the speakers: {speakers}"
        )
    start = None if initial == "none" else _folder(initial)
    model, known = (_small(channels, layers, hidden, dropout), 0) if start is None else _known(start, layers, dropout)
    augment = AugmentConfig(
        gain_db=(-25.0, 15.0),  # some of the speakers are twenty decibels softer than others
        noise_probability=0.4,
        band_limit_probability=0.0,
        frequency_mask_bins=model.frontend.bins // 5,
        time_mask_every=100,
        time_mask_frames=12,
    )
    phase = Phase(
        "train",
        10 if quick else steps,
        (HeadLoss("labels"),),
        batch_frames=1000 if quick else batch_frames,
        learning_rate=learning_rate,
        warmup=20,
        matrix_learning_rate=matrix_learning_rate,
        weight_decay=0.05,
        average_decay=0.98,
        frozen=() if start is None or fine_tune else tuple(f"encoder.stages.{stage}." for stage in range(known + 1)),
    )
    return Recipe(
        name="digits",
        model=replace(
            model, heads={"labels": PooledConfig("labels")}, events=EventRules("clip"), chunks=(16,), language="en"
        ),
        units={"labels": labels},
        train=LabelledSounds(
            train,
            numbers,
            model.frontend,
            speeds=(0.9, 1.0, 1.1),
            augment=augment,
            noise=read_table(noise).items if noise else (),
            quiet=quiet,
            name="Free Spoken Digit Dataset",
            licence="CC BY-SA 4.0",
        ),
        dev=LabelledSounds(dev, numbers, model.frontend, quiet=quiet, name=f"the speaker {held_out}"),
        phases=(phase,),
        initial=start,
        seed=seed,
        workers=0,
        evaluate_every=50,
        save_every=200,
    )


def _small(channels: int, layers: int, hidden: int, dropout: float) -> ModelConfig:
    return ModelConfig(
        # There is nothing above 4 kHz in the recordings.
        frontend=LogMelConfig(rate=8000, bins=40, window=200, hop=80),
        encoder=ConvSubsamplingConfig(hidden),
        core=TCNConfig(channels, 2 * channels, layers, dropout=dropout),
    )


def _known(folder: Path, layers: int, dropout: float) -> tuple[ModelConfig, int]:
    """The network of a checkpoint up to where it begins to write, at an intermediate head or at its end, and so many
    layers of a convolutional one after it; and how many layers are the checkpoint's."""
    config = read_config(folder)
    core = config.cores[0]
    if config.conditioning:
        core = replace(core, layers=config.conditioning.after)  # type: ignore[call-arg]
    after = TCNConfig(core.channels, 2 * core.channels, layers, dropout=dropout)
    return ModelConfig(frontend=config.frontend, encoder=config.encoder, core=(core, after)), len(core.build())


def _folder(name: str) -> Path:
    """Of a bundled checkpoint, or the path as it is."""
    bundled = Path(str(resources.files("transducer"))) / "checkpoints" / name
    return bundled if bundled.is_dir() else Path(name)
