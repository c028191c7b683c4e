"""Segments of a source -> its transcript."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transducer.media.medium import Block
from transducer.results import Segment, Transcript
from transducer.search.builder import Source


class TranscriptBuilder:
    """Keeps the final segments.

    Args:
        keep: without it a transcript stays empty, and a stream without end takes no memory.
    """

    def __init__(self, keep: bool = True):
        self._keep = keep
        self._finals: list[Segment] = []

    def block(self, block: Block) -> None:
        pass

    def outputs(self, outputs: NDArray[np.float32], begins: Sequence[bool]) -> None:
        pass

    def add(self, segment: Segment) -> bool:
        if segment.final and self._keep:
            self._finals.append(segment)
        return True

    def close(self, source: Source) -> None:
        pass

    def result(self, source: Source) -> Transcript:
        told = (segment.language for segment in reversed(self._finals) if segment.language)
        language = next(told, source.language)  # the more has been heard, the surer
        return Transcript(tuple(self._finals), source.position, source.name, language, source.warnings)
