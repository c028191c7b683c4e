"""What was inferred of pairs, shown before the training starts."""

from __future__ import annotations

import dataclasses
from typing import Any

from transducer.training.frame.recipe import HEAD, Framed

TASKS = {"n2n": "a label for each step", "n21": "one label", "n2m": "a sequence of another length"}
NUMBER_TASKS = {"n2n": "numbers for each step", "n21": "numbers for the whole"}


def show(framed: Framed) -> None:
    """A table on standard error: each choice, where it comes from, and the option that changes it."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    for name in ("", "inferred", "to choose otherwise"):
        table.add_column(name, overflow="fold")
    for row in rows(framed):
        table.add_row(*row)
    Console(stderr=True, highlight=False).print(table)


def rows(framed: Framed) -> list[tuple[str, str, str]]:
    """What, how it was decided, and the option."""
    recipe, pairs = framed.recipe, framed.pairs
    model, phase, items = recipe.model, recipe.phases[0], pairs.table.items
    x = pairs.input + (f", a step is one of its {framed.spelling}" if framed.spelling else "")
    if pairs.columns:
        x += f" of {len(pairs.columns)} columns: {', '.join(pairs.columns[:8])}"
    known = len(framed.output) - 1
    if pairs.numbers:
        y = f"numbers: {', '.join(pairs.numbers[:8])}{', ...' if known > 8 else ''}"
    elif pairs.task == "n2m":
        y = f"texts, written in {known} {framed.output.kind}"
    else:
        names = ", ".join(framed.output.tokens[1:9])
        y = f"{known} labels: {names}{', ...' if known > 8 else ''}"
    ints = pairs.task != "n2m" and all(name.lstrip("-").isdigit() for name in pairs.table.labels)
    other = " labels" if pairs.numbers else " numbers" if ints else ""
    return [
        ("pairs", f"{len(items)}: {len(items) - framed.held_out} to learn from, {framed.held_out} held out",
         "--held-out SHARE, a column split"),
        ("x", x, "--input, --x COLUMN"),
        ("y", y, f"--output-tokens{other}, --y COLUMN"),
        ("task", f"{pairs.task}: {(NUMBER_TASKS if pairs.numbers else TASKS)[pairs.task]}", "--task n2n|n21|n2m"),
        ("encoder", part_text(model.encoder), "--set encoder.NAME=VALUE"),
        ("core", "; ".join(map(part_text, model.cores)), "--core, --channels, --layers, --set core.NAME=VALUE"),
        ("head", part_text(model.heads[HEAD]), "--head, --attention, --set head.NAME=VALUE"),
        ("training", f"{phase.steps} steps at most, until nothing is gained in {phase.patience} evaluations"
         if phase.patience else f"{phase.steps} steps", "--steps, --patience, --set learning_rate=0.001"),
    ]  # fmt: skip


def part_text(part: Any) -> str:
    """A part with what is not as usual: "recurrent: kind gru, channels 128"."""
    plain = {item.name: item.default for item in dataclasses.fields(part)}
    found = {name: getattr(part, name) for name in plain}
    sizes = [
        f"{name} {value}"
        for name, value in found.items()
        if name != "units" and (value != plain[name] or name in ("channels", "layers", "kind"))
    ]
    return f"{type(part).tag}: {', '.join(sizes)}" if sizes else str(type(part).tag)
