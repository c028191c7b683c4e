"""The beginning of a model by the kind of x: front-end, encoder, and examples for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transducer.data.augment.clips import ClipAugment
from transducer.data.augment.sound import SoundAugment
from transducer.data.clips import decode_clips, frame_labels
from transducer.data.item import Item
from transducer.data.pair_table import PairTable
from transducer.data.pairs import PairSource, Target
from transducer.data.sequences import Sequences
from transducer.data.table_pairs import Augment, TablePairs
from transducer.errors import TransducerError, UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.media.video.patches import Patches
from transducer.media.video.reader import open_video
from transducer.model.config import EncoderConfig, FrontendConfig, ModelConfig
from transducer.model.network import Network
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.training.frame.choices import SPELLINGS, Choices
from transducer.training.frame.spelling import spell, suits

INPUT_UNITS = "input"
LARGEST, USUAL = 32, 64  # pixels a side: pictures that are kept as they are, and what others are brought to
WINDOW = {"video": 150, "image": 1}  # frames of a piece
SOUND_WINDOW = 1000  # encoder steps
FORGET = 0.05  # share of words that are taken for unknown ones in training


@dataclass(frozen=True)
class Input:
    """How a model begins.

    Attributes:
        units: what x is spelled in; empty where it is no text.
        spelling: of text; "" for others.
        smallest: steps of an example that is a batch of its own at least.
    """

    kind: str
    frontend: FrontendConfig
    encoder: EncoderConfig
    units: Mapping[str, Tokenizer]
    spelling: str = ""


def make_input(pairs: PairTable, train: Sequence[Item], choices: Choices) -> Input:
    """Raises UsageError for a choice that does not go with the kind of x."""
    kind = pairs.input
    if choices.spelling and kind != "text":
        raise UsageError(f"--input {choices.spelling}: x is {kind}, and no text")
    if kind == "text":
        return _text(pairs, train, choices)
    if kind == "series":
        frontend = choices.part("frontend", FrontendConfig, "series", columns=pairs.columns)
        return Input(kind, frontend, _vectors(pairs, choices), {})
    if kind == "sound":
        frontend = choices.part("frontend", FrontendConfig, "logmel")
        return Input(kind, frontend, choices.part("encoder", EncoderConfig, "conv_subsampling"), {})
    height, width = _size(pairs, train)
    if kind == "image" and pairs.task == "n2m":
        return _patches(height, width, choices)
    frontend = choices.part("frontend", FrontendConfig, "frames", height=height, width=width)
    grid = (4, 4) if kind == "video" else (min(4, height), min(4, width))
    # A still image has no frame before it.
    still = {"shift": 0.0, "difference": False} if kind == "image" else {}
    return Input(
        kind, frontend, choices.part("encoder", EncoderConfig, "frame_cnn", grid=grid, dropout=0.1, **still), {}
    )


def _patches(height: int, width: int, choices: Choices) -> Input:
    """An image that is told by a text: a decoder attends to places of it, each of which sees some way around."""
    side = 8 if max(height, width) > LARGEST else 4
    height, width = (-(-size // side) * side for size in (height, width))
    frontend = choices.part("frontend", FrontendConfig, "patches", height=height, width=width, patch=side)
    widths, strides = ((16, 32, 48, 64), (2, 2, 2, 1)) if side == 8 else ((32, 48, 64), (2, 2, 1))
    encoder = choices.part("encoder", EncoderConfig, "patch_embedding", widths=widths, strides=strides, dropout=0.1)
    return Input("image", frontend, encoder, {})


def _text(pairs: PairTable, train: Sequence[Item], choices: Choices) -> Input:
    texts = [item.x if isinstance(item.x, str) else " ".join(item.x) for item in train]
    usual = pairs.steps or ("words" if pairs.task == "n21" else suits(texts))
    spelling = choices.spelling or usual
    if pairs.task == "n2n" and spelling != pairs.steps:
        raise UsageError(f"--input {spelling}: there is a label for each of the {pairs.steps} of x")
    tokenizer = spell(spelling, texts)
    forget = FORGET if spelling == "words" else 0.0
    frontend = choices.part(
        "frontend", FrontendConfig, "symbols",
        tokens=len(tokenizer), units=INPUT_UNITS, channels=min(choices.channels or 128, 128), forget=forget,
    )  # fmt: skip
    return Input("text", frontend, _vectors(pairs, choices), {INPUT_UNITS: tokenizer}, spelling)


def _vectors(pairs: PairTable, choices: Choices) -> EncoderConfig:
    """Where a step has a label of its own, its neighbours on both sides are seen with it."""
    if pairs.task == "n2n":
        return choices.part("encoder", EncoderConfig, "window", past=2, look_ahead=2)
    return choices.part("encoder", EncoderConfig, "projection", dropout=0.1)


def _size(pairs: PairTable, train: Sequence[Item]) -> tuple[int, int]:
    """Height and width: those of small pictures, and a square for others."""
    item = train[0]
    try:
        with open_video(item.path) as reader:
            height, width = reader.height, reader.width
    except TransducerError as error:
        raise pairs.table.problem(item.line, str(error)) from None
    return (height, width) if max(height, width) <= LARGEST else (USUAL, USUAL)


def make_sources(
    pairs: PairTable,
    parts: tuple[Sequence[Item], Sequence[Item]],
    model: ModelConfig,
    units: Mapping[str, Tokenizer],
    output: Tokenizer,
    cache: Path,
    warn: Callable[[str], None],
) -> tuple[PairSource, PairSource]:
    """The examples for training and those held out.

    Args:
        model: with units. output: of the head.
        cache: a folder for what is decoded.

    Raises:
        UsageError, MediaError: with the line: a text that cannot be spelled, or a file that cannot be read.
    """
    if pairs.input in ("text", "series"):
        return _counted(pairs, parts[0], model, units, output), _counted(pairs, parts[1], model, units, output)
    return _decoded(pairs, parts, model, output, cache, warn)


def _counted(
    pairs: PairTable, items: Sequence[Item], model: ModelConfig, units: Mapping[str, Tokenizer], output: Tokenizer
) -> PairSource:
    medium = model.frontend.medium(units)
    numbers = {name: number for number, name in enumerate(output.tokens)}
    x, y = [], []
    for item in items:
        try:
            steps = medium.check(list(item.x) if isinstance(item.x, tuple) else item.x)
            y.append(_target(item, numbers, len(steps), output))
        except UsageError as error:
            raise pairs.table.problem(item.line, str(error)) from None
        x.append(steps)
    described = {"name": pairs.table.path.name, "pairs": len(items), "licence": "not stated"}
    return Sequences(x, y, [f"line {item.line}" for item in items], "held-out pairs", [described])


def _target(item: Item, numbers: Mapping[str, int], steps: int, output: Tokenizer) -> Target:
    if item.value is not None:
        return np.array(item.value, np.float32)
    if item.label is not None:
        return numbers[item.label]
    if item.values is not None or item.labels is not None or item.events is not None:
        return frame_labels(item, dict(numbers), range(steps), 1.0)
    return output.encode(item.text)


def _decoded(
    pairs: PairTable,
    parts: tuple[Sequence[Item], Sequence[Item]],
    model: ModelConfig,
    output: Tokenizer,
    cache: Path,
    warn: Callable[[str], None],
) -> tuple[PairSource, PairSource]:
    from rich.console import Console
    from rich.progress import Progress

    hop = Network(model).hop if isinstance(model.frontend, LogMelConfig) else 1
    medium = model.frontend.medium()
    patches = medium if isinstance(medium, Patches) else None
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("decoding", total=len(pairs.table.items))
        clips = decode_clips(
            pairs.table,
            medium.pictures if isinstance(medium, Patches) else medium,
            cache,
            hop=hop,
            warn=warn,
            each=lambda clip: progress.advance(task),
        )
    found = {decoded.clip.id: decoded for decoded in clips}
    window = WINDOW.get(pairs.input, SOUND_WINDOW)
    # Text is a sequence of the output's tokens, whatever it is cut into.
    encode: Callable[[Item], Any] | None = (lambda item: output.encode(item.text)) if pairs.task == "n2m" else None
    numbers = {name: number for number, name in enumerate(output.tokens) if number}
    augments: dict[str, Augment] = {"sound": SoundAugment(), "video": ClipAugment(), "image": ClipAugment(speed=0.0)}
    # A number may be of what augmentation changes: how loud, how bright, how fast.
    augment = None if pairs.numbers else augments[pairs.input]
    widen = 1 if pairs.table.moments else 0
    train, dev = (
        TablePairs([found[item.id] for item in part], numbers, size, change, widen, encode, patches)
        for part, size, change in ((parts[0], window, augment), (parts[1], 5 * window, None))
    )
    return train, dev


def input_kind(choices: Choices) -> str | None:
    """The kind of x that was asked for. Raises UsageError for an unknown one."""
    kinds = ("text", "series", "image", "sound", "video")
    if choices.input is not None and choices.input not in (*kinds, *SPELLINGS):
        raise UsageError(f"unknown input {choices.input!r}: there are {', '.join((*kinds, *SPELLINGS))}")
    return "text" if choices.spelling else choices.input


def lengths_of(source: PairSource) -> np.ndarray:
    """(N,) steps of each example, as far as they are known; of clips, those that have labels."""
    if isinstance(source, TablePairs):
        pieces = 1 if source.patches is None else source.patches.count
        return pieces * np.array([min(len(clip) * clip.hop, source.window * clip.hop) for clip in source.clips])
    return np.asarray(getattr(source, "lengths", [1] * len(source)))
