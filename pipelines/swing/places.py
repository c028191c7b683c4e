"""What is behind the batter: places drawn at random, and colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rgb(hue: float, saturation: float, value: float) -> NDArray:
    """RGB, 0 to 255, of a hue 0..1."""
    around = np.clip(np.abs((hue + np.array([1.0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1, 0, 1)
    return value * (1 - saturation + saturation * around)


def _smooth(rng: np.random.Generator, size: int, grain: int) -> NDArray:
    """(size, size) smooth noise of mean 0 and about unit variance."""
    import cv2

    coarse = rng.normal(0, 1.4, (max(2, size // grain),) * 2).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def _field(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Sky, a fence, grass and dirt."""
    picture = np.empty((size, size, 3), np.float32)
    horizon = int(size * rng.uniform(0.3, 0.6))
    fence = int(size * rng.uniform(0.05, 0.15))
    picture[:horizon] = np.linspace(0.8, 1.1, horizon)[:, None, None] * rgb(0.58, rng.uniform(0, 0.5), 210)
    picture[horizon : horizon + fence] = rgb(rng.random(), rng.uniform(0, 0.6), rng.uniform(40, 160))
    grass, dirt = rgb(rng.uniform(0.2, 0.36), 0.55, rng.uniform(80, 150)), np.array([170, 125, 85])
    edge = np.linspace(0, 1, size - horizon - fence)[:, None, None] > rng.uniform(0.2, 0.8)
    picture[horizon + fence :] = np.where(edge, dirt, grass)
    return np.clip(picture + _smooth(rng, size, 3)[..., None] * 7, 0, 255).astype(np.uint8)


def _stands(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Rows of people, as dots, above a wall and the ground."""
    import cv2

    picture = np.full((size, size, 3), rng.uniform(30, 110), np.float32)
    floor = int(size * rng.uniform(0.5, 0.75))
    for y in range(0, floor, max(4, size // 22)):
        for x in range(0, size, max(4, size // 26)):
            colour = rng.uniform(30, 230, 3)
            cv2.circle(picture, (x + int(rng.integers(4)), y + int(rng.integers(3))), size // 60, colour.tolist(), -1)
    picture[floor : floor + size // 10] = rgb(rng.random(), 0.6, rng.uniform(40, 180))
    picture[floor + size // 10 :] = rgb(rng.uniform(0.05, 0.35), 0.5, rng.uniform(90, 160))
    return np.clip(picture + _smooth(rng, size, 2)[..., None] * 5, 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Blobs of any colour and scale."""
    layers = [np.stack([_smooth(rng, size, grain) for _ in range(3)], -1) * rng.uniform(5, 45) for grain in (40, 12, 4)]
    return np.clip(rng.uniform(50, 190, 3) + sum(layers), 0, 255).astype(np.uint8)


def _hall(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Indoors: a wall with a net before it, a floor."""
    picture = np.empty((size, size, 3), np.float32)
    floor = int(size * rng.uniform(0.55, 0.8))
    picture[:floor] = rgb(rng.random(), rng.uniform(0, 0.35), rng.uniform(70, 220))
    picture[floor:] = rgb(rng.random(), rng.uniform(0, 0.5), rng.uniform(50, 170))
    gap = int(rng.integers(5, 14))
    picture[:floor:gap] *= 0.7
    picture[:floor, ::gap] *= 0.7
    for _ in range(3):  # lamps
        x, y = rng.integers(0, size, 2) // (1, 3)
        picture[y : y + 4, x : x + 14] = 250
    return np.clip(picture + _smooth(rng, size, 6)[..., None] * 5, 0, 255).astype(np.uint8)


def _houses(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """A street: boxes with windows before a bright sky, and a pavement."""
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = rgb(rng.uniform(0.5, 0.65), rng.uniform(0, 0.3), rng.uniform(180, 250))
    floor = int(size * rng.uniform(0.6, 0.8))
    x = 0
    while x < size:
        width, top = int(rng.integers(size // 8, size // 3)), int(rng.uniform(0, floor * 0.7))
        picture[top:floor, x : x + width] = rgb(rng.random(), rng.uniform(0, 0.4), rng.uniform(60, 210))
        gap = int(rng.integers(8, 14))
        for y in range(top + 4, floor - 6, gap):
            for window in range(x + 3, min(size, x + width - 6), gap):
                picture[y : y + gap // 2, window : window + gap // 2] = rng.choice([40, 230])
        x += width
    picture[floor:] = rng.uniform(80, 170)
    return np.clip(picture + _smooth(rng, size, 4)[..., None] * 6, 0, 255).astype(np.uint8)


BACKGROUNDS = {"field": _field, "stands": _stands, "noise": _noise, "hall": _hall, "houses": _houses}


class Background:
    """A picture larger than what the camera sees, or footage.

    Args:
        names: of `BACKGROUNDS`, one of which is drawn.
        footage: shots (N, H, W, 3); where there are any, mostly one of these.
        count: frames. size: of the square pictures.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        footage: tuple[NDArray[np.uint8], ...],
        rng: np.random.Generator,
        count: int,
        size: int,
    ):
        self.size, self.margin = size, size // 4
        if footage and rng.random() < 0.6:
            shot = footage[rng.integers(len(footage))]
            speed = rng.choice([0.0, 0.5, 1.0])
            start = rng.integers(max(1, len(shot) - int(count * speed)))
            self.shot, self.index = shot, np.minimum(start + (np.arange(count) * speed).astype(int), len(shot) - 1)
            self.flip = bool(rng.random() < 0.5)
        else:
            draw = BACKGROUNDS[names[rng.integers(len(names))]]
            self.shot, self.index, self.flip = draw(rng, size)[None], np.zeros(count, int), False
        self.brightness = rng.uniform(0.6, 1.1)
        self.last: tuple[int, NDArray | None] = (-1, None)

    def picture(self, frame: int, view: NDArray) -> NDArray[np.uint8]:
        """(size, size, 3) of a frame; `view` (4,) as in `swing_render.Camera`."""
        import cv2

        index = int(self.index[frame])
        if self.last[0] != index:
            image = self.shot[index][:, ::-1] if self.flip else self.shot[index]
            height, width = image.shape[:2]
            cut = min(height, width)
            image = image[:, (width - cut) // 2 : (width - cut) // 2 + cut]
            wide = self.size + 2 * self.margin
            image = cv2.resize(np.ascontiguousarray(image), (wide, wide), interpolation=cv2.INTER_LINEAR)
            self.last = (index, cv2.convertScaleAbs(image, alpha=self.brightness))
        x, y, zoom, roll = view
        middle = self.margin + self.size / 2
        matrix = cv2.getRotationMatrix2D((middle, middle), -np.degrees(roll), zoom)
        # Far things move as much as near ones when the camera turns.
        matrix[:, 2] += np.array([x, y]) * self.size - self.margin
        return cv2.warpAffine(self.last[1], matrix, (self.size, self.size), borderMode=cv2.BORDER_REFLECT_101)
