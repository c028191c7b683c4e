"""Text as a medium: one step is one token, as its number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import MediaError, UsageError
from transducer.media.counted import AT_HAND, RATE, CountedSource, read_counted
from transducer.media.medium import BlockReader
from transducer.text.tokenizers.tokenizer import Tokenizer

_SHOWN = 40  # characters of a text in its name


@dataclass(frozen=True)
class Text:
    """Token numbers (N, 1), whole numbers as float32, which holds them exactly. 0 is what has no token.

    Attributes:
        tokenizer: from text to numbers.
    """

    tokenizer: Tokenizer

    name = "tokens"
    channels = 1
    dtype = np.dtype(np.float32)
    rate = RATE
    steady, read_ahead, counted = True, False, True
    options = ()

    def block_for(self, reader: BlockReader) -> int | None:
        return AT_HAND

    def facts(self, lookahead: int) -> dict[str, Any]:
        return {
            "input": f"text: {self.tokenizer.kind}",
            "input_tokens": len(self.tokenizer) - 1,
            "look_ahead_tokens": lookahead,
        }

    def check(self, x: Any) -> NDArray[np.float32]:
        """A text, a list of texts (with a space between each two), or token numbers (N,) or (N, 1) -> (N, 1).

        What is pushed by hand in several texts must not be cut within a token.

        Raises:
            UsageError: another type, or numbers that are no tokens.
        """
        if isinstance(x, list | tuple) and x and all(isinstance(part, str) for part in x):
            x = " ".join(x)
        if isinstance(x, str):
            return np.array(self.tokenizer.encode_known(x), np.float32).reshape(-1, 1)
        array = np.asarray(x)
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2 or array.shape[1] != 1 or array.dtype.kind not in "iuf":
            raise UsageError(
                "this model reads text: give a str, a list of words, or token numbers (N,), "
                f"got {type(x).__name__}" + (f" of shape {array.shape}" if array.shape else "")
            )
        tokens = len(self.tokenizer)
        if not ((array >= 0) & (array < tokens) & (array == np.floor(array))).all():
            raise UsageError(f"token numbers must be whole numbers from 0 to {tokens - 1}")
        return array.astype(np.float32)

    def open(self, source: Any, *, block: int | None = None) -> BlockReader:
        """A text itself (str), a text file (Path), an open text file, or what `check` takes.

        Args:
            block: tokens to give at a time.

        Raises:
            MediaError: the file cannot be read, or is no text. UsageError: it is no source.
        """
        name = "tokens"
        if isinstance(source, os.PathLike):
            name, source = str(source), read_text(Path(source))
        elif hasattr(source, "read"):
            name, source = str(getattr(source, "name", "text")), source.read()
            if not isinstance(source, str):
                raise UsageError(f"{name} is open for bytes: open a text file as text")
        elif isinstance(source, str):
            name = source if len(source) <= _SHOWN else f"{source[:_SHOWN]}..."
        steps = self.check(source)
        return read_counted(CountedSource(name, len(steps)), iter([steps]), block)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, without the end of its last line. Raises MediaError."""
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n")
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MediaError(f"{path}: is no text in UTF-8") from None
