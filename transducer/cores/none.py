"""No core: for heads that have layers of their own."""

from __future__ import annotations

from dataclasses import dataclass

from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Streaming


@register("none")
@dataclass(frozen=True)
class NoCoreConfig(CoreConfig):
    """Steps pass on as they are."""

    channels: int = 80

    def build(self) -> list[Streaming]:
        return []

    @classmethod
    def examples(cls) -> tuple[NoCoreConfig, ...]:
        return (cls(8),)
