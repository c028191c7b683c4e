"""The pictures of a report. matplotlib is an optional part: it is imported by what draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transducer.training.progress import is_no_share, label, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]  # of `training.log.read_log`

# Okabe & Ito's colours, which everyone can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def plot_losses(rows: Rows, path: Path) -> None:
    """Every loss of every phase over its steps, as a running mean over what each step had."""
    steps = [row for row in rows if "loss" in row]
    phases = list(dict.fromkeys(row["phase"] for row in steps))
    names = sorted({name for row in steps for name in row if name.startswith("loss:")})
    colours = dict(zip(names, COLOURS * len(names), strict=False))
    figure = _figure(min(4.5 * len(phases) + 2, 14), 4.2)
    panels = figure.subplots(1, len(phases), squeeze=False)[0]
    for axes, phase in zip(panels, phases, strict=True):
        for name in names:
            points = [(row["step"], row[name]) for row in steps if row["phase"] == phase and name in row]
            if points:
                x, y = np.array(points).T
                axes.plot(x, y, color=colours[name], alpha=0.15, linewidth=0.8)
                axes.plot(x, _running_mean(y), color=colours[name], linewidth=1.8, label=name.removeprefix("loss:"))
        axes.set_title(f"phase: {phase}", fontsize=11)
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=9)
        _plain(axes)
    panels[0].set_ylabel("loss per token or frame, in nats")
    figure.savefig(path)


def plot_rates(rows: Rows, phases: Sequence[tuple[str, int]], path: Path) -> None:
    """What was measured on held-out examples along the way: fractions, drawn in per cent.

    Args:
        phases: names and numbers of steps, in order.
    """
    offsets, total = {}, 0
    for phase, steps in phases:
        offsets[phase], total = total, total + steps
    rated = [row for row in rows if "loss" not in row and row["phase"] in offsets]
    names = sorted({name for row in rated for name in row if name not in ("phase", "step")})
    figure = _figure(8, 4.2)
    axes = figure.subplots()
    for name, colour in zip(names, COLOURS * len(names), strict=False):
        points = [(offsets[row["phase"]] + row["step"], row[name]) for row in rated if name in row]
        x, y = np.array(points).T
        text = f"{label(name)}: {shown(name, y[-1])}"
        y = y if is_no_share(name) else 100 * y
        axes.plot(x, y, color=colour, marker="o", markersize=4, linewidth=1.6, label=text, clip_on=False)
    for phase, start in offsets.items() if len(offsets) > 1 else ():
        axes.axvline(start, color="#999999", linewidth=0.8, linestyle=":")
        axes.annotate(
            f" {phase}", (start, 1), xycoords=("data", "axes fraction"), fontsize=9, color="#555555", va="top"
        )
    axes.set_xlim(0, total)
    shares = not all(map(is_no_share, names))
    axes.set_ylim(0, max(100.0, axes.get_ylim()[1]) if shares else None)
    axes.set_xlabel("step")
    kinds = " and ".join(sorted({label(name.partition(":")[0]) for name in names}))
    axes.set_ylabel("% on held-out examples" if shares else f"{kinds} of held-out examples")
    axes.legend(frameon=False, loc="best", fontsize=9)
    _plain(axes)
    figure.savefig(path)


def plot_alignment(
    features: np.ndarray,
    runs: Sequence[tuple[str, float, float]],
    posteriors: np.ndarray,
    tokens: Sequence[str],
    text: str,
    path: Path,
    rate: int = 16000,
    hop: int = 160,
    low_hz: float = 20.0,
) -> None:
    """A log-mel spectrogram with the units aligned to it, above what a decoder thinks at every frame.

    Args:
        features: (T, bins), log power, not normalised.
        runs: the label, start and end in seconds of each unit.
        posteriors: (T', V) of a decoder, over the same time; token 0 is the blank.
        tokens: the spelling of each of V.
        text: what is said, for the title.
    """
    import librosa.display

    figure = _figure(12, 6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    seconds = len(features) * hop / rate
    decibels = features.T * 10 / np.log(10)
    librosa.display.specshow(
        decibels, sr=rate, hop_length=hop, x_axis="time", y_axis="mel", fmin=low_hz, fmax=rate / 2, ax=top,
        cmap="magma", vmin=np.percentile(decibels, 5), vmax=np.percentile(decibels, 99.7),
    )  # fmt: skip
    for number, (name, start, end) in enumerate(runs):
        for edge in {start, end}:
            top.axvline(edge, color="white", linewidth=0.7, alpha=0.75)
        height = 1.015 + 0.045 * (number % 2)  # short ones would touch their neighbours
        top.annotate(
            name, ((start + end) / 2, height), xycoords=("data", "axes fraction"), ha="center", va="bottom",
            fontsize=8, annotation_clip=False,
        )  # fmt: skip
    top.set_xlabel("")
    top.set_ylabel("Hz (mel scale)")
    top.set_title(_shortened(text), fontsize=11, pad=32)

    time = (np.arange(len(posteriors)) + 0.5) * seconds / len(posteriors)
    bottom.fill_between(time, posteriors[:, 0], color="#DDDDDD", linewidth=0, label="blank")
    for number, token in enumerate((np.flatnonzero(posteriors[:, 1:].max(axis=0) > 0.2) + 1).tolist()):
        curve, colour = posteriors[:, token], COLOURS[number % len(COLOURS)]
        bottom.plot(time, curve, color=colour, linewidth=1.1)
        for peak in _peaks(curve):
            spelled = "␣" if tokens[token] == " " else tokens[token]
            bottom.annotate(
                spelled, (time[peak], curve[peak]), xytext=(0, 2), textcoords="offset points", ha="center",
                fontsize=8, color=colour,
            )  # fmt: skip
    bottom.set_xlim(0, seconds)
    bottom.set_ylim(0, 1.2)
    bottom.set_yticks((0, 0.5, 1))
    bottom.set_xlabel("seconds")
    bottom.set_ylabel("probability")
    bottom.legend(frameon=False, fontsize=9, loc="upper right")
    _plain(bottom)
    figure.savefig(path)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#EEEEEE")
    axes.set_axisbelow(True)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the steps around each one, a twentieth of all of them."""
    half, position = len(values) // 40, np.arange(len(values))
    sums = np.cumsum(np.concatenate([[0.0], values]))
    first, last = np.maximum(0, position - half), np.minimum(len(values), position + half + 1)
    return (sums[last] - sums[first]) / (last - first)


def _peaks(curve: np.ndarray, least: float = 0.2) -> np.ndarray:
    padded = np.concatenate([[0.0], curve, [0.0]])
    return np.flatnonzero((curve > least) & (curve >= padded[:-2]) & (curve > padded[2:]))


def _shortened(text: str, most: int = 110) -> str:
    return text if len(text) <= most else text[: text.rindex(" ", 0, most)] + " ..."
