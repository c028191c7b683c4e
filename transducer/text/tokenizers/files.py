"""A tokenizer's files in a checkpoint folder: `tokens.json`, and `tokens.model` for subwords.

`tokens.json` is an object with `kind`, the list `tokens` with the blank first ("<blank>", or "" for labels) if there is
one, and for symbols `silence`, for byte pairs, pieces and letters `special`, for letters `delimiter`, for subwords
the CRC-32 of their model; and a checksum of all that.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.errors import CheckpointError, UsageError
from transducer.text.json_file import MOST_BYTES, read_bytes, read_json, write_json
from transducer.text.tokenizers.byte_pairs import BytePairs
from transducer.text.tokenizers.bytes import Bytes
from transducer.text.tokenizers.characters import Characters
from transducer.text.tokenizers.labels import Labels
from transducer.text.tokenizers.letters import Letters
from transducer.text.tokenizers.pieces import Pieces
from transducer.text.tokenizers.subwords import Subwords
from transducer.text.tokenizers.symbols import Symbols
from transducer.text.tokenizers.tokenizer import Tokenizer

TOKENS = "tokens.json"
MODEL = "tokens.model"


def save_tokenizer(tokenizer: Tokenizer, folder: str | os.PathLike[str]) -> None:
    """Write a tokenizer's files into a folder that exists. Raises OSError as from writing them."""
    contents: dict[str, Any] = {"kind": tokenizer.kind, "tokens": list(tokenizer.tokens)}
    if isinstance(tokenizer, Symbols):
        contents["silence"] = [tokenizer.tokens[token] for token in sorted(tokenizer.silence)]
    if isinstance(tokenizer, BytePairs):
        contents["special"] = sorted(tokenizer.special.values())
    if isinstance(tokenizer, Letters):
        contents |= {"delimiter": tokenizer.delimiter, "special": sorted(tokenizer.special)}
    if isinstance(tokenizer, Subwords):
        contents["model_crc32"] = zlib.crc32(tokenizer.model)
        with atomic_write(Path(folder, MODEL), "wb") as file:
            file.write(tokenizer.model)
    write_json(Path(folder, TOKENS), contents, indent=0)


def load_tokenizer(folder: str | os.PathLike[str]) -> Tokenizer:
    """Read back what `save_tokenizer` wrote.

    Raises:
        CheckpointError: a file is missing or damaged, the kind is unknown, or the files disagree on the tokens.
    """
    path = Path(folder, TOKENS)
    contents = read_json(path)
    tokens = contents.get("tokens")
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise CheckpointError(f"{path} is damaged: no list of tokens in it")
    try:
        tokenizer = _build(path, contents, tokens)
    except UsageError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if list(tokenizer.tokens) != tokens:
        if isinstance(tokenizer, Subwords):
            raise CheckpointError(f"the tokens in {path} are not those of {MODEL}; take both from one checkpoint")
        raise CheckpointError(f"{path} is damaged: the tokens are not those of a {tokenizer.kind} tokenizer")
    return tokenizer


def _build(path: Path, contents: dict[str, Any], tokens: list[str]) -> Tokenizer:
    match contents.get("kind"):
        case "bytes":
            return Bytes()
        case "byte_pairs":
            return BytePairs(tokens, _numbers(contents.get("special", []), path))
        case "pieces":
            return Pieces(tokens, _numbers(contents.get("special", []), path))
        case "characters":
            return Characters("".join(tokens[2:]))
        case "subwords":
            model = path.with_name(MODEL)
            data = read_bytes(model, MOST_BYTES)
            if contents.get("model_crc32", zlib.crc32(data)) != zlib.crc32(data):
                raise CheckpointError(f"{model} is damaged, or not the one that {path} speaks of")
            try:
                return Subwords(data)
            except UsageError as error:
                raise CheckpointError(f"{model} is damaged: {error}") from error
        case "symbols":
            silence = contents.get("silence", [])
            if not isinstance(silence, list) or not all(isinstance(symbol, str) for symbol in silence):
                raise CheckpointError(f"{path} is damaged: its silence is no list of symbols")
            return Symbols(tokens[1:], silence)
        case "labels":
            return Labels(tokens[1:])
        case "letters":
            special = _numbers(contents.get("special", []), path)
            return Letters(tokens, _numbers([contents.get("delimiter")], path)[0], special)
        case kind:
            raise CheckpointError(
                f"{path}: unknown kind of tokens {kind!r}; this version knows bytes, byte_pairs, characters, "
                "labels, letters, pieces, subwords and symbols"
            )


def _numbers(value: Any, path: Path) -> list[int]:
    if not isinstance(value, list) or not all(type(token) is int for token in value):
        raise CheckpointError(f"{path} is damaged: its special tokens are no list of numbers")
    return value
