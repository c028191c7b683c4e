"""Pictures of one shot mixed with those of the next: dissolves, wipes, fades."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.shots.camera import ease
from pipelines.shots.rendered import field

Frames = NDArray[np.uint8]


def dissolve(rng: np.random.Generator, old: Frames, new: Frames) -> Frames:
    """One picture turns into the other: linearly, eased, in linear light, or additively."""
    steps = len(old)
    weight = curve(rng, steps)
    kind = rng.random()
    if kind < 0.75:
        return mix(old, new, weight)
    if kind < 0.9:  # in linear light
        squares = _blend_float(old.astype(np.float32) ** 2, new.astype(np.float32) ** 2, weight)
        return np.sqrt(squares).astype(np.uint8)
    fall, rise = np.clip(2 - 2 * weight, 0, 1), np.clip(2 * weight, 0, 1)  # both at full strength midway
    total = old * fall[:, None, None, None] + new * rise[:, None, None, None]
    return np.clip(total, 0, 255).astype(np.uint8)


def wipe(rng: np.random.Generator, old: Frames, new: Frames) -> Frames:
    """The new picture takes the old one's place point by point, or pushes it out of the frame."""
    steps, height, width = old.shape[:3]
    progress = curve(rng, steps)
    kind = rng.random()
    if kind < 0.16:
        return _push(rng, old, new, progress)
    if kind < 0.24:
        return _zoom(rng, old, new, progress)
    order = _tiles(rng, height, width) if kind < 0.32 else _order(rng, height, width)
    soft = rng.choice([0.02, 0.05, rng.uniform(0.05, 0.5)])
    out = np.empty_like(old)
    for step in range(steps):
        weight = np.clip((progress[step] * (1 + soft) - order) / soft, 0, 1)[..., None]
        out[step] = old[step] * (1 - weight) + new[step] * weight
    return out


def _order(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """(H, W) in 0..1: when each point changes. Bars, iris, clock, blinds, split, diamonds, noise."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    kind = rng.choice(8, p=[0.42, 0.14, 0.12, 0.08, 0.08, 0.05, 0.06, 0.05])
    centre = rng.uniform(-0.4, 0.4, 2) * (rng.random() < 0.3)
    if kind == 0:
        angle = rng.choice([0, 0.5, 1, 1.5]) * np.pi if rng.random() < 0.7 else rng.uniform(0, 2 * np.pi)
        order = np.cos(angle) * x + np.sin(angle) * y
    elif kind == 1:
        order = np.hypot((x - centre[0]) * 16 / 9, y - centre[1])
    elif kind == 2:
        order = (np.arctan2(y - centre[1], x - centre[0]) + rng.uniform(0, 2 * np.pi)) % (2 * np.pi)
    elif kind == 3:
        order = ((x if rng.random() < 0.5 else y) * rng.integers(2, 7) / 2) % 1
    elif kind == 4:
        order = np.abs(x if rng.random() < 0.5 else y)
    elif kind == 5:
        order = np.abs(x) + np.abs(y)
    elif kind == 6:
        order = field(rng, height, width).astype(float)
    else:
        order = np.maximum(np.abs(x - centre[0]), np.abs(y - centre[1]))
    order = (order - order.min()) / (np.ptp(order) + 1e-6)
    return (1 - order if rng.random() < 0.5 else order).astype(np.float32)


def _tiles(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """(H, W) in 0..1, see `_order`: a mosaic whose tiles come one after the other, each at once or from its middle."""
    rows, columns = int(rng.integers(2, 7)), int(rng.integers(2, 9))
    y, x = np.mgrid[0 : rows : height * 1j, 0 : columns : width * 1j]
    row, column = np.minimum(y.astype(int), rows - 1), np.minimum(x.astype(int), columns - 1)
    turns = np.arange(rows)[:, None] * rng.choice([0, 1, columns]) + np.arange(columns) * rng.choice([0, 1, rows])
    if rng.random() < 0.5 or not turns.any():
        turns = rng.permutation(rows * columns).reshape(rows, columns)
    within = np.maximum(np.abs(y - row - 0.5), np.abs(x - column - 0.5)) * 2
    order = turns[row, column] / max(1, turns.max()) + within * rng.choice([0.0, 0.3, 1.0])
    return (order / order.max()).astype(np.float32)


def _push(rng: np.random.Generator, old: Frames, new: Frames, progress: NDArray) -> Frames:
    axis = 1 if rng.random() < 0.7 else 0
    size = old.shape[1 + axis]
    backwards, still_old, still_new = rng.random() < 0.5, rng.random() < 0.25, rng.random() < 0.25
    still_new = still_new and not still_old
    out = np.empty_like(old)
    for step in range(len(old)):
        shift = min(size - 1, max(1, round(progress[step] * size)))
        a, b = np.moveaxis(old[step], axis, 0), np.moveaxis(new[step], axis, 0)
        if backwards:
            a, b = a[::-1], b[::-1]
        head = a[: size - shift] if still_old else a[shift:]
        rest = b[size - shift :] if still_new else b[:shift]
        both = np.concatenate([head, rest])
        out[step] = np.moveaxis(both[::-1] if backwards else both, 0, axis)
    return out


def _zoom(rng: np.random.Generator, old: Frames, new: Frames, progress: NDArray) -> Frames:
    """The new picture grows over the old one, or the old one shrinks away."""
    import cv2

    height, width = old.shape[1:3]
    shrink = rng.random() < 0.4
    centre = rng.uniform(0.2, 0.8, 2) if rng.random() < 0.4 else np.array([0.5, 0.5])
    out = np.empty_like(old)
    for step in range(len(old)):
        share = 1 - progress[step] if shrink else progress[step]
        h, w = max(1, round(height * share)), max(1, round(width * share))
        y, x = round((height - h) * centre[0]), round((width - w) * centre[1])
        below, above = (new, old) if shrink else (old, new)
        out[step] = below[step]
        out[step, y : y + h, x : x + w] = cv2.resize(above[step], (w, h), interpolation=cv2.INTER_AREA)
    return out


def curve(rng: np.random.Generator, steps: int) -> NDArray[np.float64]:
    """(steps,) strictly inside 0..1, rising."""
    weight = np.arange(1, steps + 1) / (steps + 1)
    kind = rng.random()
    if kind < 0.2:
        return ease(weight)
    if kind < 0.35:
        return weight ** np.exp(rng.normal(0, 0.4))
    return weight


def mix(old: Frames, new: Frames, weight: NDArray) -> Frames:
    return _blend_float(old, new, weight).astype(np.uint8)


def _blend_float(old: NDArray, new: NDArray, weight: NDArray) -> NDArray[np.float32]:
    weight = weight[:, None, None, None].astype(np.float32)
    return old * (1 - weight) + new * weight


def fade_colour(rng: np.random.Generator) -> NDArray[np.uint8]:
    pick = rng.random()
    if pick < 0.72:
        return np.full(3, rng.choice([0, 0, 0, 4, 16]), np.uint8)
    return np.full(3, 255, np.uint8) if pick < 0.93 else rng.integers(0, 256, 3).astype(np.uint8)


def alike(frames: Frames, other: Frames) -> Frames:
    """A shot in the colours of another: its mean and spread, channel by channel (Reinhard et al., "Color Transfer
    between Images", 2001, without their change of axes)."""
    (mean, spread), (wanted, target) = ((f.mean((0, 1, 2)), f.std((0, 1, 2))) for f in (frames, other))
    gain = np.clip(target / (spread + 1e-6), 0.3, 3).astype(np.float32)
    return np.clip((frames - mean.astype(np.float32)) * gain + wanted.astype(np.float32), 0, 255).astype(np.uint8)


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())
