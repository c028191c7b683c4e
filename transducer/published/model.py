"""What a published model is read as, and what an adapter makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from transducer.errors import CheckpointError
from transducer.model.config import ModelConfig
from transducer.published.files import some
from transducer.text.tokenizers.tokenizer import Tokenizer

_LAYER = re.compile(r"(?<=[./])\d+(?=[./])|(?<=layer_)\d+(?=/)")


@dataclass(frozen=True)
class Published:
    """A model's files.

    Attributes:
        path: of the folder or file, for messages.
        format: "hugging_face", "ctranslate2" or "openai".
        config: its sizes, as its own files say.
        tensors: weights by their published names, in float32.
        generation: how its text is to be searched, as its own files say.
        folder: where the other files are.
    """

    path: Path
    format: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    folder: Path
    generation: dict[str, Any] = field(default_factory=dict)

    def size(self, name: str) -> int:
        """A number of its config, from 1 on. Raises CheckpointError where it is missing or none."""
        value = self.config.get(name)
        if type(value) is not int or not 1 <= value < 1 << 24:
            raise CheckpointError(
                f"{self.path}: its config has no size {name!r}, or one that makes no sense: {value!r:.40}"
            )
        return value

    def sizes(self, name: str) -> tuple[int, ...]:
        """A list of such numbers. Raises CheckpointError where it is missing or none."""
        values = self.config.get(name)
        if not isinstance(values, list) or not all(type(value) is int and 1 <= value < 1 << 24 for value in values):
            raise CheckpointError(
                f"{self.path}: its config has no sizes {name!r}, or some that make no sense: {values!r:.40}"
            )
        return tuple(values)

    def only(self, known: Mapping[str, Any]) -> None:
        """Raises CheckpointError where the config says something else than these values, of which it may be silent."""
        for name, value in known.items():
            if (found := self.config.get(name, value)) != value:
                raise CheckpointError(
                    f"{self.path} is a variant of its family that cannot be run: {name} is {found!r:.40}, not {value!r}"
                )


@dataclass(frozen=True)
class Adapted:
    """The same as a model of ours.

    Attributes:
        weights: by the names that our network has for them, front-end aside.
        names: our name -> the published one, of all that there should be.
    """

    config: ModelConfig
    weights: dict[str, Tensor]
    units: dict[str, Tokenizer]
    names: Callable[[str], str]


Adapter = Callable[[Published], Adapted]


class Names:
    """A table of names: published modules and tensors -> ours, {} for the number of a layer.

    Args:
        table: the published name of a module (what follows is the same in both) or of a tensor -> our name.
        prefix: what all of ours begin with.
    """

    def __init__(self, table: Mapping[str, str], prefix: str):
        self._ours = {theirs: prefix + ours for theirs, ours in table.items()}
        self._theirs = {ours: theirs for theirs, ours in self._ours.items()}

    def rename(self, tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
        """Tensors by our names. Raises CheckpointError for names that are not in the table."""
        renamed = {name: _translate(name, self._ours) for name in tensors}
        if unknown := [name for name, ours in renamed.items() if ours is None]:
            raise CheckpointError(f"{path} has weights that its family does not have: {some(unknown)}")
        return {str(ours): tensors[name] for name, ours in renamed.items()}

    def published(self, ours: str) -> str:
        """The published name of one of ours, for messages; the same where there is none."""
        return _translate(ours, self._theirs) or ours


def _translate(name: str, table: Mapping[str, str]) -> str | None:
    if name in table:
        return table[name]
    module, _, leaf = name.rpartition(".")
    for known, rest in ((name, ""), (module, f".{leaf}")):
        numbers = _LAYER.findall(f".{known}.")
        # The first number is that of a layer; others are parts of names.
        for count in (0, 1):
            key = _LAYER.sub("{}", f".{known}.", count=count)[1:-1] if count else known
            if key in table:
                return table[key].format(*numbers[:count]) + rest
    return None
