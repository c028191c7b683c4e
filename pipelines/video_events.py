"""Train a labeller for your own events from clips and a table of what happens in them.

    transducer train pipelines/video_events.py --data table.jsonl --output runs/mine
    transducer label another-clip.mp4 --model runs/mine/labels

What is learned is told by the table (see `transducer.data.table`): events with start and end become spans of
frames, moments become peaks, labels of frames are predicted for every frame, one label a clip makes a classifier, and
sequences of words make a reader (CTC). docs/your-own-labels.md goes through it. Settings, by `--set NAME=VALUE`:

    size=96x96          what the network sees of a picture, width x height: small things need more
    encoder=efficientnet-lite0  an image network that ImageNet has taught what things look like, in place of a small CNN
                        that begins with nothing: for few clips (needs the extra `images`; see docs/image-encoders.md)
    core=gru            or lstm, transformer, tcn: what looks at the frames over time
    look_ahead=25       frames that are seen before a frame is judged: more is better and later
    flip=true           mirror images of clips are as good as the clips
    on_error=skip       go on without clips that cannot be used
    overlaps=later      where two events overlap, the later one has the frames
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from transducer.cli.console import report
from transducer.cores.recurrent import RecurrentConfig
from transducer.cores.tcn import TCNConfig
from transducer.cores.transformer import TransformerConfig
from transducer.data.augment.clips import ClipAugment
from transducer.data.clips import DecodedClip, decode_clips
from transducer.data.rows import KINDS
from transducer.data.table import Table, read_table
from transducer.data.table_pairs import TablePairs
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.encoders.images.encoder import ImageEncoderConfig
from transducer.errors import UsageError
from transducer.frontends.frames import FramesConfig
from transducer.heads.ctc import CTCConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.pooled import PooledConfig
from transducer.media.video.medium import Frames
from transducer.model.config import CoreConfig, EncoderConfig, ModelConfig
from transducer.text.tokenizers.labels import Labels
from transducer.training.classes import event_rules, label_weights, tell_classes
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

CHUNK = 4  # frames that a transformer judges at a time


def recipe(
    data: Path,
    quick: bool = False,
    *,
    size: str = "64x64",
    encoder: str = "cnn",
    fine_tune: bool = False,
    core: str = "tcn",
    look_ahead: int = 10,
    channels: int = 96,
    labels: str = "",
    steps: int | None = None,
    learning_rate: float = 3e-3,
    matrix_learning_rate: float = 0.02,
    window: int = 150,
    flip: bool = False,
    augment: bool = True,
    held_out: float = 0.15,
    on_error: str = "fail",
    overlaps: str = "refuse",
    licence: str = "",
    name: str = "labels",
    cache: Path | None = None,
    seed: int = 1,
) -> Recipe:
    """A network of about 0.4 M parameters on small pictures.

    Args:
        data: the table, or a folder with one table in it.
        encoder: "cnn", or "efficientnet-lite0": with published weights, which stay as they are unless `fine_tune`.
        core: "tcn", "gru", "lstm" or "transformer".
        labels: all that there are, with commas between them, so that others are errors; those that occur if empty.
        steps: of the optimizer; as many as the data need, about, if not given.
        window: frames that are trained on at a time.
        held_out: share of the clips to measure on, where the table has no column `split`.
        licence: of the clips, for the model's card.
        cache: a folder for the decoded clips.
    """
    height, width = _size(size)
    table = read_table(data, labels=_names(labels), overlaps=overlaps, needs=KINDS)
    tell_classes(table, lambda line: report("warning", line))
    units = Labels(table.labels)
    clips = _decoded(table, Frames(height, width), cache or Path("runs") / "cache", on_error)
    train_clips, dev_clips = table.parts(held_out)
    numbers = {label: units.id(label) for label in table.labels}
    widen = 1 if table.moments else 0
    train = TablePairs(
        [clips[clip.id] for clip in train_clips if clip.id in clips],
        numbers,
        window,
        ClipAugment(flip=flip) if augment else None,
        widen,
    )
    dev = TablePairs([clips[clip.id] for clip in dev_clips if clip.id in clips], numbers, 5 * window, None, widen)
    if not len(train):
        raise UsageError(f"{table.path}: no clip is left to train on")
    kind = {"events": "framewise", "labels": "framewise", "label": "pooled", "text": "ctc"}[table.kind]
    head = {"framewise": FramewiseConfig("labels"), "pooled": PooledConfig("labels"), "ctc": CTCConfig("labels")}[kind]
    batch_frames = int(np.clip(train.frames // 12, 300, 2400))
    if steps is None:
        # Every frame some sixty times; few frames more often, so that there are steps enough to learn anything.
        steps = int(np.clip(60 * train.frames / batch_frames, 300, 4000))
    if quick:
        steps, batch_frames = 6, 400
    weights = tuple(label_weights(train.counts())) if kind != "ctc" else None
    phase = Phase(
        "train",
        steps,
        (HeadLoss("labels", label_weights=weights),),
        batch_frames=batch_frames,
        learning_rate=learning_rate,
        matrix_learning_rate=matrix_learning_rate,
        warmup=min(30, steps // 5),
        average_decay=0.98,
    )
    return Recipe(
        name=name,
        model=ModelConfig(
            frontend=FramesConfig(height, width, fps=min(clip.fps for clip in train.clips)),
            encoder=_encoder(encoder, fine_tune),
            core=_core(core, channels, look_ahead),
            heads={"labels": head},
            events=event_rules(table.kind, table.moments, train.runs(), units.tokens),
            chunks=(CHUNK,) if core == "transformer" else (1,),
        ),
        units={"labels": units},
        train=train,
        dev=dev if len(dev) else None,
        phases=(phase,),
        card={
            "trained_on": [{"name": table.path.name, "licence": licence or "not stated", "clips": len(train.clips)}],
        },
        seed=seed,
        evaluate_every=steps if quick else max(1, steps // 10),
        save_every=50,
    )


def _size(text: str) -> tuple[int, int]:
    """Height and width of "WIDTHxHEIGHT", or of one number for both."""
    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.isdigit() and int(side) >= 8 for side in sides):
        raise UsageError(f"size={text}: it must be WIDTHxHEIGHT in pixels, such as 96x64, each at least 8")
    return int(sides[-1]), int(sides[0])


def _encoder(name: str, fine_tune: bool) -> EncoderConfig:
    if name == "efficientnet-lite0":
        return ImageEncoderConfig(weights=name, frozen=not fine_tune, dropout=0.1)
    if name != "cnn":
        raise UsageError(f"unknown encoder {name!r}: there are cnn, efficientnet-lite0")
    if fine_tune:
        raise UsageError("fine_tune is for an encoder with published weights: the small CNN learns all of its own")
    return FrameCNNConfig(grid=(4, 4), dropout=0.1)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _decoded(table: Table, medium: Frames, cache: Path, on_error: str) -> dict[str, DecodedClip]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("decoding", total=len(table.items))
        found = decode_clips(
            table,
            medium,
            cache,
            on_error=on_error,
            warn=lambda line: report("warning", line),
            each=lambda clip: progress.advance(task),
        )
    return {decoded.clip.id: decoded for decoded in found}


def _core(name: str, channels: int, look_ahead: int) -> CoreConfig | tuple[CoreConfig, ...]:
    """Convolutions look ahead; what has a longer memory, if that is asked for, follows them."""
    if look_ahead < 0:
        raise UsageError(f"look_ahead={look_ahead}: it must be a number of frames from 0")
    if name == "tcn":
        layers = 6 if look_ahead <= 40 else 8
        return TCNConfig(channels, 2 * channels, layers, look_ahead=_reachable(look_ahead, 4, layers), dropout=0.1)
    if name in ("gru", "lstm"):
        before = TCNConfig(channels, 2 * channels, 4, look_ahead=_reachable(look_ahead, 4, 4), dropout=0.1)
        return (before, RecurrentConfig(name, channels, 1, 0.1))
    if name == "transformer":
        # Its blocks have to begin where a block of what comes before them does.
        ahead = _reachable(-(-look_ahead // CHUNK) * CHUNK, 4, 4)
        before = TCNConfig(channels, 2 * channels, 4, look_ahead=ahead, dropout=0.1)
        return (before, TransformerConfig(channels, 4, 3 * channels, 2, CHUNK, 64, 0, 0.1))
    raise UsageError(f"unknown core {name!r}: there are tcn, gru, lstm, transformer")


def _reachable(look_ahead: int, reach: int, layers: int) -> int:
    most = sum(reach * (1, 2, 4, 8)[layer % 4] for layer in range(layers))
    if look_ahead > most:
        raise UsageError(f"look_ahead={look_ahead}: this network can look {most} frames ahead at most")
    return look_ahead
