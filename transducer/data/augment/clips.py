"""Changes to a clip that leave its labels what they are: another crop, light, speed, and maybe its mirror image.

T frames, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transducer.media.video.opencv import load_opencv


@dataclass(frozen=True)
class ClipAugment:
    """Draws one change for all frames of a clip.

    Attributes:
        zoom: the picture is enlarged or made smaller by up to this share.
        move: it is moved by up to this share of its sides.
        turn: it is turned by up to so many degrees.
        light: brightness, contrast, and the balance of the colours change by up to this share.
        noise: standard deviation of the noise that is added, at most, of 255.
        speed: frames are dropped or repeated to change the speed by up to this share.
        flip: half of the clips are mirrored; not for labels with a left and a right.
    """

    zoom: float = 0.12
    move: float = 0.08
    turn: float = 4.0
    light: float = 0.25
    noise: float = 6.0
    speed: float = 0.2
    flip: bool = False

    def order(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(T',) which of `count` frames are shown one after the other."""
        speed = np.exp(rng.uniform(-1, 1) * np.log1p(self.speed))
        return np.minimum((np.arange(max(1, round(count / speed))) + 0.5) * speed, count - 1).astype(np.int64)

    def change(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(T, H, W, 3) uint8 -> the same shape."""
        cv2 = load_opencv()

        height, width = clip.shape[1:3]
        scale = np.exp(rng.uniform(-1, 1) * np.log1p(self.zoom))
        mirrored = self.flip and rng.random() < 0.5
        matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), rng.uniform(-1, 1) * self.turn, scale)
        matrix[:, 2] += rng.uniform(-1, 1, 2) * self.move * (width, height)
        if mirrored:
            matrix = matrix @ np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1.0]])
        table = self._light(rng)
        noise = rng.uniform(0, self.noise)
        result = np.empty(clip.shape, np.uint8)
        for frame, changed in zip(clip, result, strict=True):
            cv2.warpAffine(
                np.ascontiguousarray(frame), matrix, (width, height), dst=changed, borderMode=cv2.BORDER_REPLICATE
            )
        result = cv2.LUT(result.reshape(-1, width, 3), table).reshape(clip.shape)
        if noise >= 0.5:
            grain = rng.normal(0, noise, (8, *clip.shape[1:])).astype(np.int16)  # eight fields of it, round and round
            for number, frame in enumerate(result):
                np.clip(frame + grain[number % 8], 0, 255, out=frame, casting="unsafe")
        return result

    def _light(self, rng: np.random.Generator) -> np.ndarray:
        """(256, 1, 3) what each value of each colour becomes."""
        values = np.arange(256)[:, None] / 255
        gamma = np.exp(rng.uniform(-1, 1) * np.log1p(2 * self.light))
        contrast = 1 + rng.uniform(-1, 1) * self.light
        balance = 1 + rng.uniform(-1, 1, 3) * self.light / 3
        bright = rng.uniform(-1, 1) * self.light / 2
        table = (values**gamma - 0.5) * contrast * balance + 0.5 + bright
        return np.clip(table * 255, 0, 255).round().astype(np.uint8)[:, None]
