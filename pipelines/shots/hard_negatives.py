"""What happens inside one shot and looks like a change of shot, and is none.

Every function changes frames (T, H, W, 3) uint8 in place; labels stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipelines.shots.camera import ease
from pipelines.shots.rendered import draw_shape, words, write

Frames = NDArray[np.uint8]


def flash(rng: np.random.Generator, frames: Frames) -> None:
    """A photo flash, lightning, a muzzle or an explosion: light that comes at once and goes at once or slowly."""
    steps = len(frames)
    start = int(rng.integers(0, steps))
    light = (
        np.array([255, 255, 255])
        if rng.random() < 0.6
        else np.array([255, rng.uniform(120, 230), rng.uniform(20, 160)])
    )
    shape = _spot(rng, frames, rng.uniform(0.3, 1.2)) if rng.random() < 0.4 else np.ones((*frames.shape[1:3], 1))
    rise, hold, decay = int(rng.integers(0, 3)), int(rng.integers(1, 4)), rng.choice([0.01, 0.01, rng.uniform(0.5, 8)])
    top = rng.uniform(0.25, 1.1)
    additive = rng.random() < 0.5
    for step in range(max(0, start - rise), min(steps, start + hold + int(5 * decay))):
        if step < start:
            level = (step - start + rise + 1) / (rise + 1)
        else:
            level = np.exp(-max(0, step - start - hold + 1) / decay)
        weight = np.clip(top * level * shape, 0, 1)
        picture = frames[step].astype(np.float32)
        lit = picture + light * weight if additive else picture * (1 - weight) + light * weight
        frames[step] = np.clip(lit, 0, 255)


def strobe(rng: np.random.Generator, frames: Frames) -> None:
    """Stage lights: brightness or colour that changes every few frames."""
    start, length = _span(rng, len(frames), 6, 60)
    period, duty = int(rng.integers(2, 9)), rng.uniform(0.2, 0.8)
    gains = (
        rng.uniform(0.1, 2.2, (2, 1, 1, 3))
        if rng.random() < 0.4
        else np.array([1, rng.uniform(0.1, 2.5)]).reshape(2, 1, 1, 1)
    )
    if rng.random() < 0.5:
        gains[0] = 1
    for step in range(start, start + length):
        gain = gains[int((step - start) % period < duty * period)]
        frames[step] = np.clip(frames[step] * gain, 0, 255)


def exposure(rng: np.random.Generator, frames: Frames) -> None:
    """A light switched on or off, a cloud, a door, automatic exposure: brightness goes elsewhere and may come back."""
    start, length = _span(rng, len(frames), 1, 30)
    ramp = ease(np.clip((np.arange(len(frames)) - start + 1) / length, 0, 1))
    if rng.random() < 0.4:
        back = start + length + int(rng.integers(2, 40))
        ramp = ramp * (1 - ease(np.clip((np.arange(len(frames)) - back) / rng.integers(1, 30), 0, 1)))
    gain = np.exp(rng.normal(0, 0.5)) * np.exp(rng.normal(0, 0.1, 3))
    gain = np.clip(gain, 0.3, 3)
    frames[:] = _scaled(frames, 1 + ramp[:, None] * (gain - 1))


def flicker(rng: np.random.Generator, frames: Frames) -> None:
    """Old film, candles, bad lamps: brightness that never rests."""
    noise = rng.normal(0, rng.uniform(0.01, 0.12), len(frames))
    if rng.random() < 0.5:
        noise = np.convolve(noise, np.ones(3) / 1.7, "same")
    frames[:] = _scaled(frames, np.repeat(np.exp(noise)[:, None], 3, 1))


def occluder(rng: np.random.Generator, frames: Frames, texture: NDArray[np.uint8]) -> None:
    """Something passes close to the lens, blurred, and hides much or all of the picture for some frames.

    Args:
        texture: (27, 48, 3), what it looks like.
    """
    import cv2

    steps, height, width = frames.shape[:3]
    start, length = _span(rng, steps, 4, 36)
    surface = texture if rng.random() < 0.6 else np.full_like(texture, rng.integers(0, 256, 3) * rng.uniform(0, 1))
    surface = cv2.GaussianBlur(surface, (0, 0), rng.uniform(0.8, 4)).astype(np.float32)
    mask = np.zeros((height, 3 * width), np.uint8)
    half = int(width * rng.uniform(0.08, 0.75))
    middle = int(1.5 * width)
    if rng.random() < 0.5:
        cv2.ellipse(
            mask,
            (middle, int(height * rng.uniform(0.2, 0.9))),
            (half, int(height * rng.uniform(0.4, 1.4))),
            0,
            0,
            360,
            255,
            -1,
        )
    else:
        top, bottom = rng.normal(0, width * 0.15, 2)
        corners = [
            [middle - half + top, -1],
            [middle + half + top, -1],
            [middle + half + bottom, height],
            [middle - half + bottom, height],
        ]
        cv2.fillPoly(mask, [np.array(corners, np.int32)], 255)
    mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 4)).astype(np.float32) / 255
    direction = 1 if rng.random() < 0.5 else -1
    turns = rng.random() < 0.2  # it comes in and goes back
    for step in range(start, start + length):
        share = (step - start + 0.5) / length
        share = min(share, 1 - share) if turns else share
        offset = int((middle - width / 2) + direction * (0.5 - share) * (width + 2 * half))
        weight = mask[:, np.clip(np.arange(offset, offset + width), 0, 3 * width - 1)][..., None]
        frames[step] = frames[step] * (1 - weight) + surface * weight


def mover(rng: np.random.Generator, frames: Frames, pictures: NDArray[np.uint8]) -> None:
    """Somebody or something, cut out of other pictures, moves through the shot.

    Args:
        pictures: (T, 27, 48, 3), what fills the outline at every frame.
    """
    import cv2

    steps, height, width = frames.shape[:3]
    start, length = _span(rng, steps, 8, 150)
    tall, wide = height * rng.uniform(0.2, 1.0), width * rng.uniform(0.06, 0.5)
    begin, end = rng.uniform(-0.3, 1.3, 2) * width, rng.uniform(-0.3, 1.3, 2) * width
    x = np.linspace(begin[0], end[0], length)
    y = height * rng.uniform(0.3, 0.9) + np.sin(np.arange(length) * rng.uniform(0.05, 0.8)) * rng.uniform(0, 2)
    grow = np.exp(np.linspace(0, rng.normal(0, 0.5), length))
    for step in range(length):
        mask = np.zeros((height, width), np.uint8)
        axes = (max(1, int(wide * grow[step] / 2)), max(1, int(tall * grow[step] / 2)))
        cv2.ellipse(mask, (int(x[step]), int(y[step])), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
        weight = (cv2.blur(mask, (2, 2)) / 255.0)[..., None]
        frames[start + step] = frames[start + step] * (1 - weight) + pictures[(start + step) % len(pictures)] * weight


def near(rng: np.random.Generator, frames: Frames, pictures: NDArray[np.uint8]) -> None:
    """Something large moves about close to the lens: it comes in, fills most of the picture or all, and leaves.

    Args:
        pictures: (T, 27, 48, 3), what fills the outline at every frame.
    """
    import cv2

    steps, height, width = frames.shape[:3]
    start, length = _span(rng, steps, 8, 110)
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(5, 12))))
    outline = np.column_stack([np.cos(angles), np.sin(angles)]) * rng.uniform(0.6, 1.3, (len(angles), 1))
    size = width * rng.uniform(0.3, 0.9) * np.array([1, rng.uniform(0.5, 1)])
    side = rng.uniform(0, 2 * np.pi, 2)  # where it comes from, and where to
    outside = np.column_stack([np.cos(side), np.sin(side)]) * (size + np.array([width, height]) / 2) * 1.1
    t = np.linspace(0, 1, length)
    arrival, leaving = (np.clip(x / rng.uniform(0.15, 0.6), 0, 1) for x in (t, 1 - t))
    place = outside[:1] * (1 - ease(arrival))[:, None] + outside[1:] * (1 - ease(leaving))[:, None]
    place += np.sin(t[:, None] * rng.uniform(0, 12, 2)) * rng.uniform(0, 0.25) * width + (width / 2, height / 2)
    soft = rng.uniform(0.3, 3)
    blurred = rng.random() < 0.6
    for step in range(length):
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [(outline * size + place[step]).astype(np.int32)], 255)
        weight = (cv2.GaussianBlur(mask, (0, 0), soft) / np.float32(255))[..., None]
        surface = pictures[(start + step) % len(pictures)]
        if blurred:
            surface = cv2.GaussianBlur(surface, (0, 0), 1 + soft)
        frames[start + step] = frames[start + step] * (1 - weight) + surface * weight


def shadow(rng: np.random.Generator, frames: Frames, start: int | None = None) -> None:
    """A shadow moves into the picture, or light, and stays or moves on.

    Args:
        start: the frame before it; None for anywhere.
    """
    steps, height, width = frames.shape[:3]
    start = int(rng.integers(0, steps)) if start is None else start
    length, angle = int(rng.integers(4, 30)), rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    along = (np.cos(angle) * x + np.sin(angle) * y) / (abs(np.cos(angle)) + abs(np.sin(angle)))  # -1..1
    soft, wide = rng.uniform(0.1, 0.8), rng.choice([rng.uniform(0.3, 1.5), 4.0])
    far = rng.uniform(-0.3, 1.2) if rng.random() < 0.5 else 1.2 + wide
    gain = rng.uniform(0.15, 0.7) if rng.random() < 0.8 else rng.uniform(1.3, 2.0)
    for step in range(max(0, start), steps):
        front = -1 - soft + (far + 1 + soft) * min(1.0, (step - start) / length)
        covered = np.clip((front - along) / soft, 0, 1) * np.clip((along - front + wide) / soft, 0, 1)
        frames[step] = np.clip(frames[step] * (1 + covered * (gain - 1))[..., None], 0, 255)


def blank(rng: np.random.Generator, frames: Frames, places: NDArray[np.integer]) -> None:
    """Frames that were lost and are black, or one colour, one at a time or two.

    Args:
        places: the frames that may be lost.
    """
    if len(places):
        colour = np.zeros(3, np.uint8) if rng.random() < 0.8 else rng.integers(0, 256, 3).astype(np.uint8)
        for start in rng.choice(places, int(rng.integers(1, 4))):
            frames[start : start + (1 if rng.random() < 0.8 else 2)] = colour


def focus(rng: np.random.Generator, frames: Frames) -> None:
    """A pull of focus: the picture gets blurred, sharp, or both one after the other."""
    import cv2

    start, length = _span(rng, len(frames), 6, 40)
    shape = np.clip((np.arange(len(frames)) - start) / length, 0, 1)
    if rng.random() < 0.5:
        shape = np.sin(np.pi * shape)
    if rng.random() < 0.5:
        shape = 1 - shape
    sigma = shape * rng.uniform(0.6, 4)
    for step in np.flatnonzero(sigma > 0.3):
        frames[step] = cv2.GaussianBlur(frames[step], (0, 0), float(sigma[step]))


def graphic(rng: np.random.Generator, frames: Frames) -> None:
    """A title, caption, lower third or logo that pops up, fades or slides in over the picture, and out again."""
    height, width = frames.shape[1:3]
    picture, alpha = np.zeros((2 * height, 2 * width, 3), np.uint8), np.zeros((2 * height, 2 * width, 3), np.uint8)
    colour = (
        (int(rng.integers(180, 256)),) * 3 if rng.random() < 0.6 else tuple(int(c) for c in rng.integers(0, 256, 3))
    )
    kind = rng.random()
    if kind < 0.35:  # a panel, maybe with text on it
        x, y = rng.uniform(0, 0.6, 2) * (2 * width, 2 * height)
        far = (int(x + rng.uniform(0.2, 1.0) * 2 * width), int(y + rng.uniform(0.08, 0.6) * 2 * height))
        panel = np.array([int(x), int(y), *far])
        picture[panel[1] : panel[3], panel[0] : panel[2]] = rng.integers(0, 256, 3)
        alpha[panel[1] : panel[3], panel[0] : panel[2]] = int(rng.choice([255, 160]))
    if kind > 0.2:
        lines = int(rng.integers(1, 4))
        size = rng.choice([rng.uniform(0.05, 0.15), rng.uniform(0.12, 0.6 / lines)])
        middle = rng.choice([0.5, 0.5, 0.15, 0.85, rng.uniform(0.1, 0.9)])
        for line in range(lines):
            where = (0.5 + rng.normal(0, 0.06), middle + (line - (lines - 1) / 2) * size * 1.7)
            text, seed = words(rng, 3), int(rng.integers(2**31))
            write(np.random.default_rng(seed), picture, text, where, size, colour)
            write(np.random.default_rng(seed), alpha, text, where, size, (255, 255, 255))
    if rng.random() < 0.35:
        _emblem(rng, picture, alpha)
    if rng.random() < 0.2:
        seed, where, size = int(rng.integers(2**31)), rng.uniform(0, 1, 2), rng.uniform(0.05, 0.3)
        draw_shape(np.random.default_rng(seed), picture, where, size, np.array(colour))
        draw_shape(np.random.default_rng(seed), alpha, where, size, np.array([255, 255, 255]))
    show(rng, frames, picture, alpha)


def _emblem(rng: np.random.Generator, picture: Frames, alpha: Frames) -> None:
    """The big title of a film, in place: rows of letters so fat that they are blocks, each of its own shape."""
    import cv2

    height, width = picture.shape[:2]
    rows, colour = int(rng.integers(1, 4)), rng.integers(0, 256, 3) if rng.random() < 0.4 else np.full(3, 250)
    tall, wide = height * rng.uniform(0.12, 0.7) / rows, width * rng.uniform(0.3, 0.95)
    top = height * rng.choice([0.5, rng.uniform(0.3, 0.7)]) - rows * tall / 2
    for row in range(rows):
        letters = int(rng.integers(3, 11))
        for left in np.linspace((width - wide) / 2, (width + wide) / 2, letters, endpoint=False):
            corners = np.array([[0, 0], [0.8, 0], [0.8, 0.85], [0.4, 0.85], [0, 0.85]]) + rng.uniform(-0.1, 0.1, (5, 2))
            points = (corners * (wide / letters, tall) + (left, top + row * tall)).astype(np.int32)
            cv2.fillPoly(picture, [points], tuple(int(c) for c in colour))
            cv2.fillPoly(alpha, [points], (255, 255, 255))


def inset(rng: np.random.Generator, frames: Frames, pictures: NDArray[np.uint8]) -> None:
    """A picture in the picture, over less than half of it, that comes and goes.

    Args:
        pictures: (T, 27, 48, 3), what it shows.
    """
    import cv2

    height, width = frames.shape[1:3]
    share = rng.uniform(0.15, 0.5)
    h, w = max(3, int(2 * height * share)), max(4, int(2 * width * share))
    y, x = int(rng.uniform(0, 1) * (2 * height - h)), int(rng.uniform(0, 1) * (2 * width - w))
    picture, alpha = np.zeros((2 * height, 2 * width, 3), np.uint8), np.zeros((2 * height, 2 * width, 3), np.uint8)
    picture[y : y + h, x : x + w] = cv2.resize(pictures[0], (w, h))
    alpha[y : y + h, x : x + w] = 255
    show(rng, frames, picture, alpha)


def show(rng: np.random.Generator, frames: Frames, picture: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> None:
    """Lay a picture (2H, 2W, 3) with its opacity (the same shape, 0..255) over a stretch of the frames."""
    import cv2

    steps, height, width = frames.shape[:3]
    strength = np.float32(rng.uniform(0.6, 1) / 255)
    # Times its own opacity before it gets smaller, so that edges do not darken.
    layer = cv2.multiply(picture, alpha, scale=1 / 255)
    layer = cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA) * (strength * 255)
    weight = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA) * strength
    start, length = _span(rng, steps, 5, 200)
    enter, leave = (int(rng.choice([0, rng.integers(2, 20), rng.integers(5, 45)])) for _ in range(2))
    slide = int(rng.choice([0, 0, 1, -1]))
    for step in range(start, start + length):
        level = min(1.0, (step - start + 1) / (enter + 1), (start + length - step) / (leave + 1))
        shift = round(slide * (1 - level) * width)
        if shift:
            keep = (np.arange(width) >= shift) & (np.arange(width) < width + shift)
            moved, seen = np.roll(layer, shift, 1), np.roll(weight, shift, 1) * keep[None, :, None]
            frames[step] = frames[step] * (1 - seen) + moved * keep[None, :, None]
        else:
            share = 1.0 if slide else level
            frames[step] = frames[step] * (1 - weight * share) + layer * share


def _spot(rng: np.random.Generator, frames: Frames, size: float) -> NDArray:
    height, width = frames.shape[1:3]
    y, x = np.mgrid[0:height, 0:width]
    centre = rng.uniform(0, 1, 2) * (height, width)
    distance = np.hypot(y - centre[0], x - centre[1]) / (size * width)
    return np.exp(-(distance**2) * 2)[..., None] * 1.3


def _span(rng: np.random.Generator, steps: int, shortest: int, longest: int) -> tuple[int, int]:
    """Where something begins and how long it lasts."""
    length = int(np.exp(rng.uniform(np.log(shortest), np.log(longest + 1))))
    length = max(1, min(length, steps))
    return int(rng.integers(0, steps - length + 1)), length


def _scaled(frames: Frames, gains: NDArray) -> Frames:
    """Frames times (T, 3) gains."""
    return np.clip(frames * gains[:, None, None, :].astype(np.float32), 0, 255).astype(np.uint8)


# Those that need nothing but the frames, with their weights.
ALONE: tuple[tuple[Callable[[np.random.Generator, Frames], None], float], ...] = (
    (flash, 0.22),
    (strobe, 0.04),
    (exposure, 0.16),
    (flicker, 0.06),
    (focus, 0.12),
    (graphic, 0.36),
    (shadow, 0.04),
)
