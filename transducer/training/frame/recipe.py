"""A recipe out of nothing but pairs (x, y): the parts that suit the kind of x and the shape of the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transducer.data.item import Item
from transducer.data.numbers import OUTPUTS
from transducer.data.pair_table import PairTable, read_pairs
from transducer.data.pairs import PairSource
from transducer.data.sequences import Sequences
from transducer.data.table_pairs import TablePairs
from transducer.errors import UsageError
from transducer.heads.head import Target
from transducer.model.config import CoreConfig, HeadConfig, ModelConfig
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.labels import Labels
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.training.classes import event_rules, label_weights
from transducer.training.frame.choices import Choices, has_part
from transducer.training.frame.inputs import input_kind, lengths_of, make_input, make_sources
from transducer.training.frame.spelling import spell, suits
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

HEAD, OUTPUT = "y", "output"  # names of the head, and of the units that it writes
CHUNK = 8  # steps that attention over a stream sees at a time
LEARNED_BY = {"n2n": Target.LABELS, "n21": Target.LABEL, "n2m": Target.TOKENS}
NUMBERS_BY = {"n2n": Target.VALUES, "n21": Target.VALUE}
EPOCHS = 60
STEPS = {"n2n": (300, 6000), "n21": (300, 6000), "n2m": (2000, 20_000)}  # at least and at most
EVALUATIONS = 40  # of a run that goes to its end


class Framed(NamedTuple):
    """A recipe, and what it was inferred from."""

    recipe: Recipe
    pairs: PairTable
    held_out: int
    spelling: str
    output: Tokenizer


def frame_recipe(
    path: Path, choices: Choices, cache: Path, quick: bool = False, warn: Callable[[str], None] = lambda line: None
) -> Framed:
    """Read pairs, and make the recipe that suits them.

    Args:
        cache: a folder for what is decoded of files.
        quick: a few steps, to see that it runs.
        warn: is told what looks like a mistake in the data.

    Raises:
        UsageError, MediaError: one line, with the number of the line: what is wrong with the data, or with a choice.
    """
    taken_for = choices.output if choices.output in OUTPUTS else None
    pairs = read_pairs(path, task=choices.task, kind=input_kind(choices), x=choices.x, y=choices.y, output=taken_for)
    table = pairs.table
    train, dev = table.parts(choices.held_out)
    if not dev:
        raise UsageError(f"{table.path}: nothing is held out, so that nothing can be measured; --held-out 0.15 does it")
    if pairs.task != "n2m":
        for line in table.rare_labels()[:10]:
            warn(line)
    begin = make_input(pairs, train, choices)
    output = _output(pairs, choices)
    units = {**begin.units, OUTPUT: output}
    head_name = _head_name(pairs, choices)
    model = ModelConfig(
        frontend=begin.frontend,
        encoder=begin.encoder,
        core=_core(pairs, head_name, choices),
        heads={HEAD: _head(pairs, head_name, choices)},
        units={name: len(tokenizer) for name, tokenizer in units.items()},
        chunks=(1,),
    )
    model = _with_chunks(model)
    _check_head(model, pairs, head_name)
    learned, measured = make_sources(pairs, (train, dev), model, units, output, cache, warn)
    check_held_out(pairs, dev, output)
    model = _with_events(model, pairs, learned, output)
    phase = _phase(pairs, learned, choices, quick)
    recipe = Recipe(
        name="model",
        model=model,
        units=units,
        train=learned,
        dev=measured,
        phases=(phase,),
        card={"task": pairs.task, **_described(pairs, learned)},
        workers=1 if isinstance(learned, TablePairs) else 0,
        evaluate_every=phase.steps if quick else max(10, phase.steps // EVALUATIONS),
        save_every=max(10, phase.steps // EVALUATIONS),
    )
    return Framed(recipe, pairs, len(dev), begin.spelling, output)


def _output(pairs: PairTable, choices: Choices) -> Tokenizer:
    """Labels, or tokens of all texts: what is held out is to be written, too."""
    if pairs.numbers and choices.output in (None, "numbers"):
        return Labels(pairs.numbers)
    if pairs.numbers:
        raise UsageError(f"--output-tokens {choices.output}: y are numbers, and no texts")
    if pairs.task != "n2m":
        if choices.output not in (None, "labels"):
            raise UsageError(f"--output-tokens {choices.output}: y are labels, and no texts")
        return Labels(pairs.table.labels)
    texts = [item.text for item in pairs.table.items]
    kind = choices.output or ("words" if pairs.words else suits(texts))
    return spell(kind, texts)


def check_held_out(pairs: PairTable, dev: Sequence[Item], output: Tokenizer) -> None:
    """Raises UsageError where all that is held out has the same label, or no number is known of it."""
    rows = [value for item in dev for value in (*(item.values or ()), item.value or ())]
    if pairs.numbers and np.isnan(np.concatenate(rows)).all():
        raise UsageError(f"{pairs.table.path}: of the {len(dev)} pairs that are held out no number is known")
    if pairs.task == "n21" and not pairs.numbers and len({item.label for item in dev}) == 1 and len(output) > 2:
        only = dev[0].label
        raise UsageError(
            f"{pairs.table.path}: all {len(dev)} pairs that are held out have the label {only!r}: they measure "
            "nothing; hold out others by a column split, or more of them by --held-out"
        )


def _head_name(pairs: PairTable, choices: Choices) -> str:
    if choices.head:
        return choices.head
    if pairs.numbers:
        return "numbers"
    if pairs.task != "n2m":
        return {"n2n": "framewise", "n21": "pooled"}[pairs.task]
    return "ctc" if pairs.input in ("sound", "video") or not has_part(HeadConfig, "attention") else "attention"


def _core(pairs: PairTable, head: str, choices: Choices) -> CoreConfig:
    """What suits, in a size for minutes on a CPU."""
    whole = head == "attention" and pairs.input != "sound"  # it waits for the end in any case
    usual = {"video": "tcn", "image": "tcn"}.get(pairs.input, "gru")
    if whole and pairs.input in ("text", "series") and has_part(CoreConfig, "bidirectional"):
        usual = "bigru"
    if pairs.input == "image" and has_part(CoreConfig, "independent"):
        usual = "independent"
    channels = choices.channels or {"video": 96, "image": 96, "sound": 144}.get(pairs.input, 128)
    layers = choices.layers or {"video": 6, "image": 1, "sound": 3}.get(pairs.input, 2 if pairs.task == "n2m" else 1)
    ahead = 10 if pairs.input == "video" and (choices.core or usual) == "tcn" else 0
    return choices.part(
        "core", CoreConfig, choices.core or usual,
        channels=channels, layers=layers, hidden=2 * channels, heads=4, chunk=CHUNK, dropout=0.1, look_ahead=ahead,
    )  # fmt: skip


def _head(pairs: PairTable, name: str, choices: Choices) -> HeadConfig:
    usual: dict[str, Any] = {"units": OUTPUT, "channels": choices.channels or 128, "layers": 1}
    usual["whole"] = pairs.task == "n21"
    if name == "attention":
        usual |= {"dropout": 0.1, "decoder": "transformer", "layers": 2}
    if choices.attention is not None:
        if name != "attention":
            raise UsageError(f"--attention {choices.attention}: the head is {name}, and has none; say --head attention")
        # The scores of Bahdanau and Luong are those of recurrent decoders.
        decoder = {} if choices.attention == "multihead" else {"decoder": "gru", "layers": 1}
        usual |= {"attention": choices.attention, **decoder}
    return choices.part("head", HeadConfig, name, **usual)


def _check_head(model: ModelConfig, pairs: PairTable, name: str) -> None:
    """Raises UsageError where a head learns from something else than what the task has."""
    target = model.heads[HEAD].build(model.cores[0].channels, model).target
    if target is not (NUMBERS_BY if pairs.numbers else LEARNED_BY)[pairs.task]:
        of = " of numbers" if pairs.numbers else ""
        raise UsageError(f"the head {name} learns from {target.value}: it is not for the task {pairs.task}{of}")


def _with_chunks(model: ModelConfig) -> ModelConfig:
    """A chunk of several steps where a core works on chunks."""
    from dataclasses import replace

    chunked = any(hasattr(core, "chunk") for core in model.cores)
    return replace(model, chunks=(CHUNK,)) if chunked else model


def _with_events(model: ModelConfig, pairs: PairTable, source: PairSource, output: Tokenizer) -> ModelConfig:
    """How events are made of the labels of steps."""
    from dataclasses import replace

    kind = pairs.table.kind
    if pairs.numbers:
        return replace(model, events=EventRules("whole_numbers" if pairs.task == "n21" else "numbers"))
    if pairs.task == "n2m":
        return model
    if kind == "labels" and pairs.input in ("text", "series"):
        return replace(model, events=EventRules("steps"))
    return replace(model, events=event_rules(kind, pairs.table.moments, _runs(source), output.tokens))


def _runs(source: PairSource) -> Mapping[int, Sequence[int]]:
    """Number of a label -> how many steps it lasts, each time that it occurs."""
    if isinstance(source, TablePairs):
        return source.runs()
    found: dict[int, list[int]] = {}
    for labels in source.y if isinstance(source, Sequences) else ():
        if isinstance(labels, np.ndarray):
            for piece in np.split(labels, np.flatnonzero(np.diff(labels)) + 1):
                if len(piece) and piece[0] > 0:
                    found.setdefault(int(piece[0]), []).append(len(piece))
    return found


def _counts(source: PairSource, labels: int) -> np.ndarray:
    if isinstance(source, TablePairs):
        return source.counts()
    assert isinstance(source, Sequences)
    found = np.concatenate([np.atleast_1d(np.asarray(y, np.int64)) for y in source.y])
    return np.bincount(found[found >= 0], minlength=labels)


def _phase(pairs: PairTable, source: PairSource, choices: Choices, quick: bool) -> Phase:
    """Every example some sixty times, within bounds; it stops before that where nothing is gained any more."""
    lengths = lengths_of(source)
    rows = float(np.clip(len(lengths) / 12, 4, 64 if pairs.input in ("text", "series", "image") else 16))
    batch = max(1, int(rows * lengths.mean() * 1.1))
    epoch = max(1.0, lengths.sum() / batch)
    steps = choices.steps or int(np.clip(EPOCHS * epoch, *STEPS[pairs.task]))
    weights = None
    if pairs.task != "n2m" and not pairs.numbers:
        weights = tuple(label_weights(_counts(source, len(pairs.table.labels) + 1)))
    if quick:
        steps = min(steps, 6)
    return Phase(
        "train",
        steps,
        (HeadLoss(HEAD, label_weights=weights),),
        batch_frames=batch,
        learning_rate=3e-3,
        warmup=min(50, steps // 5),
        average_decay=0.98,
        bf16=pairs.input not in ("text", "series"),
        patience=choices.patience,
    )


def _described(pairs: PairTable, source: PairSource) -> dict[str, Any]:
    """Sources in memory describe themselves."""
    if isinstance(source, Sequences):
        return {}
    return {"trained_on": [{"name": pairs.table.path.name, "clips": len(source), "licence": "not stated"}]}
