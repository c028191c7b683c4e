"""Samples as a medium: one step is one sample of mono sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.media.audio.level import BLOCK as LEVEL_DELAY
from transducer.media.audio.reader import open_audio
from transducer.media.io.sources import RawFormat, is_media_source
from transducer.media.medium import Block, BlockReader


@dataclass(frozen=True)
class Samples:
    """Mono sound at `rate` samples per second, a whole number; float32 with full scale 1, on a steady clock."""

    rate: Fraction

    name = "samples"
    channels = 1
    dtype = np.dtype(np.float32)
    steady, read_ahead = True, False
    options = ("raw", "track", "start", "length", "level")

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", Fraction(self.rate))

    def block_for(self, reader: BlockReader) -> int | None:
        return None

    def facts(self, lookahead: int) -> dict[str, Any]:
        return {"rate_hz": int(self.rate)}

    def check(self, x: Any) -> NDArray[np.float32]:
        """float32 (N,) -> (N, 1). Raises UsageError for anything else, and for values that are no numbers."""
        return check_samples(x)[:, None]

    def open(
        self,
        source: Any,
        *,
        raw: RawFormat | tuple[str, int, int] | None = None,
        track: int | None = None,
        start: float = 0.0,
        length: float | None = None,
        level: bool | None = None,
        block: int | None = None,
    ) -> BlockReader:
        """As `open_audio`, see there; blocks hold at most `block` samples, or what the decoder gives at a time.

        Args:
            track: which sound of several, from 0; None for the best one as FFmpeg sees it.
            level: None raises quiet sound of files, addresses and pipes, and leaves arrays as they are.
        """
        if raw is not None and not isinstance(raw, RawFormat):
            if not isinstance(raw, tuple | list) or len(raw) > 3:
                raise UsageError(f"raw is a format of samples, (encoding, rate, channels); got {raw!r:.80}")
            raw = RawFormat(*raw)
        level = is_media_source(source) if level is None else level
        reader = open_audio(source, int(self.rate), raw, track, start=start, length=length, level=level)
        delay = LEVEL_DELAY if level else 0.0
        return BlockReader(reader, sample_blocks(reader, block), lambda: self.rate, start=reader.start, delay=delay)


def sample_blocks(arrays: Iterable[NDArray[np.float32]], size: int | None) -> Iterator[Block]:
    """Arrays (N,) -> blocks of at most `size` samples: a packet may be hours long, and nobody should wait for all."""
    for samples in arrays:
        for start in range(0, len(samples), size or max(len(samples), 1)):
            yield Block(samples[start : start + (size or len(samples)), None], None, None)


def check_samples(samples: Any) -> NDArray[np.float32]:
    """float32 (N,) samples. Raises UsageError for anything else, and for values that are no numbers."""
    array = np.asarray(samples)
    if array.ndim != 1 or array.dtype != np.float32:
        raise UsageError(f"samples must be a float32 array of one dimension, got {array.dtype} of shape {array.shape}")
    if not np.isfinite(array).all():
        raise UsageError("samples must be finite numbers between -1 and 1: NaN or infinity found")
    return array
