"""The networks of a model, one for each head and chunk, whatever computes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from transducer.engine.backend import Backend
from transducer.search.context import SearchContext
from transducer.search.result_search import ResultSearch
from transducer.text.tokenizers.tokenizer import Tokenizer


class SearchedHead(Protocol):
    """A head as an engine needs it, see `transducer.heads.head.Head`.

    Attributes:
        stride, block: in steps of the encoder.
        delay: output steps by which it writes late.
    """

    @property
    def stride(self) -> int: ...
    @property
    def delay(self) -> int: ...
    def search(self, context: SearchContext) -> ResultSearch[Any, Any]: ...


class Networks(Protocol):
    """What a model's folder holds, ready to run.

    Attributes:
        config: a `ModelConfig`, or what is left of one in an exported model.
        units: name -> tokenizer.
        medium: what it hears or sees.
        hop: steps of the medium in a step of the encoder.
        device: where it computes.
        parameters: how many numbers it has learned.
    """

    config: Any
    units: dict[str, Tokenizer]
    medium: Any
    hop: int
    device: Any

    @property
    def parameters(self) -> int: ...

    @property
    def heads(self) -> Mapping[str, SearchedHead]:
        """Of the chunk that the model has by itself."""

    def head(self, name: str, chunk: int) -> SearchedHead:
        """The head of this name for chunks of so many steps of the encoder."""

    def backend(self, names: tuple[str, ...], chunk: int) -> Backend:
        """The network up to a head; the outputs of several, which must keep step with it, stand side by side."""

    def stages(self) -> list[dict[str, Any]]:
        """What it is made of, for people."""
