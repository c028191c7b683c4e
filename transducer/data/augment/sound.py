"""Changes to a piece of sound that leave its labels what they are: louder, softer, noisier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transducer.data.augment.waveform import add_noise


@dataclass(frozen=True)
class SoundAugment:
    """Draws one change for all samples of a piece.

    Attributes:
        gain: it becomes louder or softer by up to so many decibels.
        noise: white noise is added, at least so many decibels below the sound, and up to 40 more; None adds none.
    """

    gain: float = 6.0
    noise: float | None = 15.0

    def order(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(T,) which steps are heard one after the other: all of them."""
        return np.arange(count)

    def change(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(T, 1) float32 -> the same shape."""
        changed = samples * np.float32(10 ** (rng.uniform(-1, 1) * self.gain / 20))
        if self.noise is None:
            return changed
        level = self.noise + rng.uniform(0, 40)
        return add_noise(changed, rng.standard_normal(samples.shape).astype(np.float32), level)
