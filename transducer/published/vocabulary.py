"""The tokens of a published model, from any of the files in which they come."""

from __future__ import annotations

import base64
import gzip
import json
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from transducer.errors import CheckpointError
from transducer.text.json_file import MOST_BYTES, read_bytes, read_json
from transducer.text.tokenizers.byte_pairs import byte_alphabet

TOKENIZER = "tokenizer.json"
FILES = (TOKENIZER, "vocab.json", "vocabulary.json", "vocabulary.txt", "multilingual.tiktoken", "gpt2.tiktoken")


class Vocabulary(NamedTuple):
    """Tokens in the alphabet of bytes, in the order of their numbers, and which of them are special."""

    tokens: list[str]
    special: frozenset[int]


def read_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of byte pairs that a folder has.

    Raises:
        CheckpointError: it has none, or one that is damaged or of another kind.
    """
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"{folder} has no tokens: {TOKENIZER} is missing; copy it there, or get the model again")
    try:
        if path.suffix == ".tiktoken":
            return _of_ranks(read_bytes(path, MOST_BYTES))
        if path.suffix == ".txt":
            return _marked(read_bytes(path, MOST_BYTES).decode().splitlines())
        if path.name == "vocabulary.json":
            return _marked(json.loads(read_bytes(path, MOST_BYTES)))
        if path.name == TOKENIZER:
            return _of_tokenizer(read_json(path), path)
        return _of_vocab(path)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise CheckpointError(f"{path} is damaged: it has no list of tokens") from None


def packaged(name: str) -> Vocabulary:
    """Ordinary tokens of Whisper, whose own files do not hold them: "gpt2", of English, or "multilingual"."""
    path = resources.files("transducer.published") / "vocabularies" / f"{name}.txt.gz"
    return Vocabulary(gzip.decompress(path.read_bytes()).decode().split("\n"), frozenset())


def read_pieces(folder: Path) -> Vocabulary:
    """The vocabulary of SentencePiece's pieces, with bytes for what is none of them, that a folder has.

    Raises:
        CheckpointError: it has none, or one that is damaged or of another kind.
    """
    path = folder / TOKENIZER
    if not path.is_file():
        raise CheckpointError(f"{folder} has no tokens: {TOKENIZER} is missing; copy it there, or get the model again")
    document = read_json(path)
    try:
        model = document["model"]
        if model.get("type", "BPE") != "BPE" or model.get("byte_fallback") is not True:
            raise CheckpointError(
                f"{path} has a tokenizer that is no byte-pair encoding of characters with bytes beside"
            )
        added = {entry["content"]: entry["id"] for entry in document.get("added_tokens", ())}
        return _ordered(model["vocab"], added)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{path} is damaged: it has no list of tokens") from None


def _of_tokenizer(document: dict[str, Any], path: Path) -> Vocabulary:
    model = document["model"]
    steps = document.get("pre_tokenizer") or {}
    if model.get("type", "BPE") != "BPE" or "ByteLevel" not in json.dumps(steps):
        raise CheckpointError(f"{path} has a tokenizer that is no byte-pair encoding of bytes")
    added = {entry["content"]: entry["id"] for entry in document.get("added_tokens", ())}
    return _ordered(model["vocab"], added)


def _of_vocab(path: Path) -> Vocabulary:
    more = path.with_name("added_tokens.json")
    return _ordered(read_json(path), read_json(more) if more.is_file() else {})


def _ordered(ordinary: dict[str, int], added: dict[str, int]) -> Vocabulary:
    numbers = {**ordinary, **added}
    tokens = sorted(numbers, key=lambda token: numbers[token])
    if sorted(numbers.values()) != list(range(len(tokens))):
        raise ValueError("numbers that are missing, or there twice")
    return Vocabulary(tokens, frozenset(added.values()))


def _marked(tokens: list[str]) -> Vocabulary:
    if not tokens or not all(isinstance(token, str) for token in tokens):
        raise ValueError("no list of texts")
    special = (number for number, token in enumerate(tokens) if token.startswith("<|") and token.endswith("|>"))
    return Vocabulary(tokens, frozenset(special))


def _of_ranks(data: bytes) -> Vocabulary:
    """OpenAI's own files: each line has a token's bytes in base 64, and its number."""
    alphabet, numbers = byte_alphabet(), {}
    for line in data.decode().split("\n"):
        if line:
            token, number = line.split()
            numbers["".join(alphabet[byte] for byte in base64.b64decode(token))] = int(number)
    return _ordered(numbers, {})
