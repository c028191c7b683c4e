"""The table and plots of bench/cores.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- what python bench/cores.py wrote -->", "<!-- until here -->"


def table(found: dict[str, Any]) -> str:
    """What was measured, as Markdown; cores of which something is missing are left out where it is."""
    found = json.loads(json.dumps(found))  # lengths are text, as in the file
    taught = {name: row for name, row in found["cores"].items() if "recall" in row}
    parts = [*(_lessons(taught, found["steps"]) if taught else []), *_costs(found["cores"])]
    parts += ["", _row("Mamba's scan over a Python loop, 2048 steps", "forward", "with gradients"), _rule(3)]
    for name, ratios in found["scan"].items():
        parts.append(_row(name, *(f"{ratio:.1f} times as fast" for ratio in ratios.values())))
    parts += ["", _row("a layer of", "its training step takes"), _rule(2)]
    parts += [_row(name, f"{ratio:.2f} of ours") for name, ratio in found["peers"].items()]
    return "\n".join(parts) + "\n"


def into_docs(text: str, page: Path) -> None:
    """Put the table between the two marks of a page."""
    before, mark, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{page}: it has no {BEGIN!r} and {END!r} to write between")
    page.write_text(f"{before}{mark}\n\n{text}\n{end}{after}", encoding="utf-8")


def _lessons(cores: dict[str, Any], steps: int) -> list[str]:
    first = next(iter(cores.values()))
    tasks = list(first["tasks"])
    lines = [
        f"At most {steps} steps of training for each task, on one thread.",
        "",
        _row("core", "parameters", *(f"{task}, %" for task in tasks), *(f"recall at {n}, %" for n in first["recall"])),
        _rule(2 + len(tasks) + len(first["recall"])),
    ]
    for name, row in cores.items():
        known = (_percent(row["tasks"][task]["accuracy"]) for task in tasks)
        lines.append(_row(name, f"{row['parameters']:,}", *known, *map(_percent, row["recall"].values())))
    lines += [
        "",
        _row("core", *(f"steps/s, {task}" for task in tasks), *(f"s to 95 %, {task}" for task in tasks)),
        _rule(1 + 2 * len(tasks)),
    ]
    for name, row in cores.items():
        speeds = (f"{row['tasks'][task]['steps_per_second']:.1f}" for task in tasks)
        soon = (_number(row["tasks"][task]["seconds"], ".1f") for task in tasks)
        lines.append(_row(name, *speeds, *soon))
    return [*lines, ""]


def _costs(cores: dict[str, Any]) -> list[str]:
    lengths = max((list(row["memory_mb"]) for row in cores.values()), key=len)
    lines = [
        _row("core", "256 channels, parameters", "a step, ms", "state, KB", *(f"MB at {int(n):,}" for n in lengths)),
        _rule(4 + len(lengths)),
    ]
    for name, row in cores.items():
        costs = _number(row["step_ms"], ".2f"), _number(row["state_kb"], ".0f")
        used = (_number(row["memory_mb"].get(n), ".0f") for n in lengths)
        lines.append(_row(name, f"{row['wide_parameters']:,}", *costs, *used))
    return lines


def draw(found: dict[str, Any], folder: Path) -> None:
    """cores-recall.png and cores-memory.png."""
    from matplotlib.figure import Figure

    styles = ["-", "--", ":"]
    for name, title, ylabel in (
        ("recall", "a value from the beginning, asked for at the end", "accuracy, %"),
        ("memory_mb", "one pass over a sequence", "memory, MB"),
    ):
        figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
        axes = figure.subplots()
        for number, (core, row) in enumerate(found["cores"].items()):
            if name not in row:
                continue
            lengths = [int(length) for length in row[name]]
            scale = 100 if name == "recall" else 1
            values = [scale * value for value in row[name].values()]
            axes.plot(lengths, values, styles[number // 5], marker="o", markersize=3, color=f"C{number}", label=core)
        axes.set_xscale("log")
        ticks = sorted({int(length) for row in found["cores"].values() for length in row.get(name, ())})
        axes.set_xticks(ticks, [f"{length:,}" for length in ticks])
        axes.minorticks_off()
        if name == "memory_mb":
            axes.set_yscale("log")
        axes.set(xlabel="steps", ylabel=ylabel, title=title)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#EEEEEE")
        axes.legend(frameon=False, fontsize=8, bbox_to_anchor=(1, 0.5), loc="center left")
        figure.savefig(folder / f"cores-{name.split('_')[0]}.png")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
