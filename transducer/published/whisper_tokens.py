"""What Whisper's tokens are: their spelling, and which of them steer it.

Source: `tokenizer.py` of openai/whisper.
"""

from __future__ import annotations

import re
from typing import Any

from transducer.errors import CheckpointError
from transducer.heads.segment import SpecialTokens
from transducer.published.model import Published
from transducer.published.vocabulary import FILES, Vocabulary, packaged, read_vocabulary
from transducer.text.tokenizers.byte_pairs import BytePairs

# The languages of the multilingual models, in the order of their tokens.
LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg "
    "lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so "
    "af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
).split()
MULTILINGUAL = 51865  # tokens, from which on a model has more languages than English
_TIMES = 1501  # tokens from 0 to 30 s
_OLD = {"he": "iw"}  # in some files
_TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
# Signs that stand for sounds and for who speaks, which are not spoken.
_SIGNS = """
" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』
<< >> <<< >>> -- --- -( -[ (' (" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪
""".split()
_MUSIC = "♩ ♪ ♫ ♬ ♭ ♮ ♯".split()


def whisper_tokenizer(published: Published, size: int) -> BytePairs:
    """The tokens of a model with so many, from its files; an OpenAI file, which has none, has those of Whisper's code.

    Raises:
        CheckpointError: there are none, or those of another model.
    """
    if published.format == "openai" and not any((published.folder / name).is_file() for name in FILES):
        vocabulary = packaged("multilingual" if size >= MULTILINGUAL else "gpt2")
    else:
        vocabulary = read_vocabulary(published.folder)
    return BytePairs(*_completed(vocabulary, size, published))


def is_english(published: Published, size: int) -> bool:
    """Whether a model with so many tokens knows English alone."""
    return not published.generation.get("is_multilingual", size >= MULTILINGUAL)


def special_tokens(tokenizer: BytePairs, english: bool, published: Published) -> SpecialTokens:
    """What steers a model, by its tokens and by what its files say of generation.

    Raises:
        CheckpointError: the tokens are not Whisper's, or what is said of them makes no sense.
    """
    named = tokenizer.special
    if absent := [name for name in ("startoftranscript", "endoftext") if f"<|{name}|>" not in named]:
        raise CheckpointError(f"the tokens of {published.path} are not Whisper's: there is no <|{absent[0]}|>")
    languages = {
        name: named[f"<|{spelled}|>"]
        for name in LANGUAGES
        for spelled in (name, _OLD.get(name))
        if f"<|{spelled}|>" in named
    }
    first = named.get("<|0.00|>")
    generation = published.generation
    if published.format == "openai":  # it says nothing, and its code does
        generation = {"suppress_tokens": not_spoken(tokenizer), "begin_suppress_tokens": _first(tokenizer)}
    return SpecialTokens(
        start=named["<|startoftranscript|>"],
        end=named["<|endoftext|>"],
        previous=named.get("<|startofprev|>"),
        no_speech=named.get("<|nospeech|>", named.get("<|nocaptions|>")),
        no_timestamps=named.get("<|notimestamps|>"),
        timestamp_begin=first,
        transcribe=None if english else named.get("<|transcribe|>"),
        translate=None if english else named.get("<|translate|>"),
        languages={} if english else languages,
        suppressed=_numbers(generation.get("suppress_tokens"), published),
        suppressed_first=_numbers(generation.get("begin_suppress_tokens"), published),
        alignment_heads=tuple(
            (pair[0], pair[1])
            for pair in generation.get("alignment_heads") or ()
            if _numbers(pair, published) and len(pair) == 2
        ),
    )


def _completed(vocabulary: Vocabulary, size: int, published: Published) -> Vocabulary:
    """A vocabulary with all special tokens, which some files leave out, in their order."""
    tokens, special = vocabulary
    if len(tokens) > size:
        raise CheckpointError(f"{published.path} has {size} tokens, and the file with their spelling {len(tokens)}")
    if not special:
        # So many languages are left between the ordinary tokens and the others.
        count = size - len(tokens) - 2 - len(_TASKS) - _TIMES
        if not 0 <= count <= len(LANGUAGES):
            raise CheckpointError(
                f"{published.path} has {size} tokens, which do not go with {len(tokens)} ordinary ones"
            )
        named = ("endoftext", "startoftranscript", *LANGUAGES[:count], *_TASKS)
        tokens = [*tokens, *(f"<|{name}|>" for name in named)]
    times = (f"<|{number / 50:.2f}|>" for number in range(_TIMES))
    known = sum(re.fullmatch(r"<\|\d+\.\d\d\|>", token) is not None for token in tokens)
    tokens = [*tokens, *list(times)[known : known + size - len(tokens)]]
    if len(tokens) < size:
        raise CheckpointError(f"{published.path} has {size} tokens, and the file with their spelling {len(tokens)}")
    ordinary = min(special, default=len(vocabulary.tokens))
    marked = (number for number in range(ordinary, size) if tokens[number].startswith("<|"))
    return Vocabulary(tokens, special | frozenset(marked))


def _numbers(value: Any, published: Published) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(type(number) is int for number in value):
        raise CheckpointError(f"{published.path}: what its files say of tokens is no list of numbers: {value!r:.60}")
    return tuple(value)


def not_spoken(tokenizer: BytePairs) -> list[int]:
    """The tokens that openai/whisper never writes: signs that are not spoken, and those that steer."""
    found = {tokenizer.encode(" -")[0], tokenizer.encode(" '")[0]}
    for sign in (*_SIGNS, *_MUSIC):
        for tokens in (tokenizer.encode(sign), tokenizer.encode(f" {sign}")):
            if len(tokens) == 1 or sign in _MUSIC:
                found.add(tokens[0])
    steering = ("startoftranscript", *_TASKS[:4], "nospeech", "nocaptions")
    return sorted(found | {tokenizer.special[f"<|{name}|>"] for name in steering if f"<|{name}|>" in tokenizer.special})


def _first(tokenizer: BytePairs) -> list[int]:
    return [*tokenizer.encode(" "), tokenizer.special["<|endoftext|>"]]
