"""A virtual camera: what a shot's picture shows of a larger one, frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 27, 48  # of composed frames


def ease(x: NDArray) -> NDArray:
    """Smoothstep, 0..1 -> 0..1."""
    return x * x * (3 - 2 * x)


def wander(rng: np.random.Generator, steps: int, smooth: float) -> NDArray:
    """(steps, 2): a smooth random walk of about unit size, as of a hand that holds a camera."""
    keys = max(2, int(steps / smooth) + 2)
    points = rng.standard_normal((keys, 2))
    grid = np.linspace(0, keys - 1, steps)
    left = np.minimum(grid.astype(int), keys - 2)
    weight = ease(grid - left)[:, None]
    return points[left] * (1 - weight) + points[left + 1] * weight


def path(rng: np.random.Generator, steps: int, *, widest: float = 1.0, lively: float = 1.0) -> NDArray[np.float32]:
    """(steps, 4): centre x, y and width of the view as shares of the picture's width and height, and angle.

    Static, pan, tilt, zoom, handheld, whip pan, snap zoom, and mixtures.
    """
    t = np.linspace(0, 1, steps) if steps > 1 else np.zeros(1)
    width = np.full(steps, rng.uniform(0.4, 1.0) ** 0.7 * widest)
    centre = np.repeat(rng.uniform(0.3, 0.7, (1, 2)), steps, 0)
    angle = np.full(steps, rng.normal(0, 0.03) if rng.random() < 0.2 else 0.0)
    kind = rng.random()
    seconds = steps / 25
    if kind < 0.3 * lively:  # pan or tilt, at up to 1.2 views a second
        speed = rng.uniform(0.05, 1.2) ** 1.6 * width[0] * seconds
        direction = rng.normal(0, 1, 2) * (1, 0.35)
        direction /= np.linalg.norm(direction) + 1e-6
        shape = ease(t) if rng.random() < 0.5 else t
        centre = centre + (shape[:, None] - 0.5) * direction * speed
    elif kind < 0.43 * lively:  # zoom, slow or as fast as doubling in half a second
        factor = np.exp(rng.normal(0, 0.35) * min(seconds, 3))
        width = width * np.clip(factor, 0.35, 2.5) ** (ease(t) if rng.random() < 0.6 else t)
    elif kind < 0.51 * lively:  # whip pan: elsewhere within a few frames
        length = int(rng.integers(3, 14))
        start = int(rng.integers(0, max(1, steps - length)))
        ramp = ease(np.clip((np.arange(steps) - start) / length, 0, 1))
        jump = rng.uniform(0.5, 2.0) * width[0] * (1 if rng.random() < 0.5 else -1)
        centre = centre + ramp[:, None] * np.array([jump, jump * rng.normal(0, 0.2)])
    elif kind < 0.55 * lively:  # snap zoom
        length = int(rng.integers(4, 15))
        start = int(rng.integers(0, max(1, steps - length)))
        ramp = ease(np.clip((np.arange(steps) - start) / length, 0, 1))
        width = width * np.exp(rng.uniform(-0.9, 0.7)) ** ramp
    if rng.random() < 0.35 * lively:  # handheld
        size = rng.uniform(0.004, 0.05) * rng.uniform(0.3, 1)
        centre = centre + wander(rng, steps, rng.uniform(2, 16)) * size * width[:, None]
    if rng.random() < 0.06 * lively:  # an earthquake, a blow, a car on cobbles
        decay = np.exp(-np.maximum(0, np.arange(steps) - rng.integers(0, steps)) / rng.uniform(3, 20))
        centre = centre + wander(rng, steps, 1.2) * rng.uniform(0.01, 0.06) * width[:, None] * decay[:, None]
    if rng.random() < 0.05 * lively:
        angle = angle + t * rng.normal(0, 0.25) * min(seconds, 2)
    width = np.clip(width, 0.22 * widest, 1.3 * widest)
    return np.column_stack([centre, width, angle]).astype(np.float32)


def shoot(
    pictures: NDArray[np.uint8],
    times: NDArray[np.integer],
    view: NDArray[np.float32],
    mirror: bool = False,
    half: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """(N, H, W, 3) pictures, (T,) which of them, (T, 4) views from `path` -> (T, 27, 48, 3).

    Where the view leaves the picture it sees its mirror image. What moves fast is blurred along its way.

    Args:
        half: the same pictures at half the size, (N, H / 2, W / 2, 3), for wide views.
    """
    import cv2

    # Bilinear sampling of a picture more than half again as fine as the view would alias.
    if float(np.median(view[:, 2])) * pictures.shape[2] / WIDTH > 1.5:
        if half is None:
            size = (pictures.shape[2] // 2, pictures.shape[1] // 2)
            used, times = np.unique(times, return_inverse=True)
            half = np.stack([cv2.resize(pictures[i], size, interpolation=cv2.INTER_AREA) for i in used])
        pictures = half
    height, width = pictures.shape[1:3]
    out = np.empty((len(times), HEIGHT, WIDTH, 3), np.uint8)
    settings = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REFLECT_101}
    steps = np.abs(np.diff(view[:, :2], axis=0, prepend=view[:1, :2])).max(1) / view[:, 2] * WIDTH
    blurs = np.where(steps > 3, np.minimum(6, steps / 1.5), 1).astype(int)
    matrices = _matrices(view, width, height, mirror)
    # Nothing has moved: slides, held drawings.
    same = np.zeros(len(times), bool)
    same[1:] = (times[1:] == times[:-1]) & (view[1:] == view[:-1]).all(1)
    for index, time in enumerate(times):
        if same[index]:
            out[index] = out[index - 1]
        elif blurs[index] == 1:
            cv2.warpAffine(pictures[time], matrices[index], (WIDTH, HEIGHT), dst=out[index], **settings)
        else:
            shares = (np.arange(blurs[index]) + 0.5) / blurs[index] - 0.5
            between = view[index] + (view[index] - view[index - 1]) * 0.6 * shares[:, None]
            total = np.zeros((HEIGHT, WIDTH, 3), np.float32)
            for matrix in _matrices(between, width, height, mirror):
                total += cv2.warpAffine(pictures[time], matrix, (WIDTH, HEIGHT), **settings)
            out[index] = total / blurs[index]
    return out


def _matrices(view: NDArray, width: int, height: int, mirror: bool) -> NDArray[np.float32]:
    """(T, 2, 3): from pixels of the view to pixels of the picture."""
    scale = view[:, 2] * width / WIDTH
    cos, sin = np.cos(view[:, 3]) * scale, np.sin(view[:, 3]) * scale
    flip = -1 if mirror else 1
    x, y = view[:, 0] * width, view[:, 1] * height
    across = [cos * flip, -sin, x - cos * flip * WIDTH / 2 + sin * HEIGHT / 2]
    down = [sin * flip, cos, y - sin * flip * WIDTH / 2 - cos * HEIGHT / 2]
    return np.stack([np.stack(across, -1), np.stack(down, -1)], -2).astype(np.float32)
