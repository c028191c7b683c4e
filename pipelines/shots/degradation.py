"""What cameras, codecs and players do to frames (T, H, W, 3) uint8: grading, grain, coding, lost and doubled frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Grade:
    """Colours of a shot: a matrix (3, 3) that mixes channels, then a table (256, 3) of levels."""

    matrix: NDArray[np.float64]
    table: NDArray[np.uint8]

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> Grade:
        """Gamma, gain, lift, tint, saturation, swapped channels; at times grey or dark. `strength` about 0..1."""
        matrix = np.eye(3)
        if rng.random() < 0.25 * strength:
            matrix = matrix[rng.permutation(3)]
        saturation = 0.0 if rng.random() < 0.12 * strength else np.exp(rng.normal(0, 0.5 * strength))
        matrix = (saturation * np.eye(3) + (1 - saturation) * np.array([[0.3, 0.59, 0.11]])) @ matrix
        gamma = np.exp(rng.normal(0, 0.35 * strength)) * np.exp(rng.normal(0, 0.06 * strength, 3))
        gain = np.exp(rng.normal(0, 0.2 * strength)) * np.exp(rng.normal(0, 0.07 * strength, 3))
        if rng.random() < 0.12 * strength:  # low light
            gain = gain * rng.uniform(0.1, 0.45)
        levels = np.linspace(0, 1, 256)[:, None] ** gamma * gain * 255 + rng.normal(0, 12 * strength)
        if rng.random() < 0.03 * strength:
            levels = 255 - levels
        return cls(matrix, np.clip(levels, 0, 255).astype(np.uint8))

    def __call__(self, frames: Frames) -> Frames:
        import cv2

        flat = np.ascontiguousarray(frames).reshape(len(frames), -1, 3)
        mixed = cv2.transform(flat, self.matrix.astype(np.float32))
        return cv2.LUT(mixed, self.table[None]).reshape(frames.shape)


@lru_cache(maxsize=1)
def _noise() -> NDArray[np.float32]:
    """A bank of (64, 54, 96, 3) unit normals: drawing them afresh would cost more than all the rest."""
    return np.random.default_rng(0).standard_normal((64, 54, 96, 3)).astype(np.float32)


def grain(rng: np.random.Generator, frames: Frames, sigma: float, held: int = 1) -> None:
    """Film grain or sensor noise of `sigma` levels, in place; new every `held` frames."""
    bank = _noise() * np.float32(sigma)
    if rng.random() < 0.5:
        bank = np.repeat(bank[..., :1], 3, -1)
    steps, height, width = frames.shape[:3]
    for step in range(steps):
        if step % held == 0:
            index, y, x = rng.integers(64), rng.integers(54 - height + 1), rng.integers(96 - width + 1)
        noisy = frames[step] + bank[index, y : y + height, x : x + width]
        frames[step] = np.clip(noisy, 0, 255)


def codec(rng: np.random.Generator, frames: Frames) -> Frames:
    """Low bit rate: small changes are not sent, detail is lost and comes back with each key frame."""
    import cv2

    period, phase = int(rng.integers(8, 120)), int(rng.integers(0, 120))
    threshold, blur = rng.uniform(0, 9), rng.uniform(0, 0.7)
    quantum = np.uint8(rng.choice([1, 1, 2, 4, 8]))
    out = np.empty_like(frames)
    last = frames[0]
    since = 0
    for step, picture in enumerate(frames):
        key = (step + phase) % period == 0
        since = 0 if key else since + 1
        soft = blur * (1.0 if key and rng.random() < 0.5 else min(1.0, since / 12))
        if soft > 0.05:
            picture = cv2.addWeighted(picture, 1 - soft, cv2.blur(picture, (3, 3)), soft, 0)
        last = picture if key else np.where(cv2.absdiff(picture, last) > threshold, picture, last)
        out[step] = last
    if quantum > 1:
        out = out // quantum * quantum + quantum // np.uint8(2)
    return out


def time_map(rng: np.random.Generator, steps: int) -> NDArray[np.int64]:
    """(T,) indices of the frames that are shown, never decreasing: doubled, dropped, held.

    Animation on twos or threes, 24 frames a second shown at 30 or 60, a stuttering player, gaps.
    """
    kind = rng.random()
    identity = np.arange(steps)
    if kind < 0.72:
        index = identity
    elif kind < 0.8:
        index = identity // int(rng.choice([2, 2, 3])) * 2
        index = identity // 2 * 2 if rng.random() < 0.7 else identity // 3 * 3
    elif kind < 0.87:
        index = (identity * rng.choice([0.8, 0.4, 0.5, 0.96])).astype(np.int64)
    elif kind < 0.93:
        index = np.where(rng.random(steps) < rng.uniform(0.02, 0.3), np.maximum(identity - 1, 0), identity)
        index = np.maximum.accumulate(index)
    else:
        jumps = np.where(rng.random(steps) < 0.02, rng.integers(1, 7, steps), 0)
        index = identity + np.cumsum(jumps)
    return index


def letterbox(rng: np.random.Generator, frames: Frames) -> None:
    """Bars above and below or at the sides, in place."""
    height, width = frames.shape[1:3]
    level = int(rng.choice([0, 0, 0, 16]))
    if rng.random() < 0.75:
        bar = int(rng.integers(1, 6))
        frames[:, :bar] = level
        frames[:, height - bar :] = level
    else:
        bar = int(rng.integers(2, 14))
        frames[:, :, :bar] = level
        frames[:, :, width - bar :] = level


def vignette(rng: np.random.Generator, frames: Frames) -> None:
    height, width = frames.shape[1:3]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shade = 1 - rng.uniform(0.1, 0.6) * np.clip((x**2 + y**2) / 2, 0, 1)
    np.multiply(frames, shade[None, :, :, None].astype(np.float32), out=frames, casting="unsafe")
