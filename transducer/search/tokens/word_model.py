"""What turns a model's tokens into words: a lexicon, a word language model, and how they are weighed.

In a checkpoint this is a folder:

    words.json          the weights, and the units that the lexicon is made of
    words.ngram         the language model, whose words are the lexicon's
    lexicon.bin         pronunciations, where the units are phones; characters need none
    g2p.ngram           pronounces words that come at run time, where the units are phones
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from transducer.errors import CheckpointError, UsageError
from transducer.search.hotwords import Hotword, Hotwords, latin_letters, unique_phrases
from transducer.search.tokens.lexicon import LexiconSearch, LexiconSearchConfig
from transducer.search.tokens.prefix_tree import PrefixTree
from transducer.search.tokens.word_scorer import LanguageModelScorer, PhraseBoost, WordScorer
from transducer.text.english.g2p import GraphemeToPhoneme, is_word
from transducer.text.english.inflection import derive
from transducer.text.english.lexicon import Lexicon
from transducer.text.json_file import read_json, write_json
from transducer.text.lm.ngram import SPECIAL, UNK, NGram
from transducer.text.tokenizers.characters import ENGLISH, Characters
from transducer.text.tokenizers.symbols import Symbols
from transducer.text.tokenizers.tokenizer import Tokenizer

CONFIG, LANGUAGE_MODEL, LEXICON, G2P = "words.json", "words.ngram", "lexicon.bin", "g2p.ngram"
_VARIANTS = 3  # pronunciations of a word that comes at run time
_MOST = 10**9  # no number is as large
_WIDTHS = ("width", "token_width", "alternatives")  # may be infinite, for an exact search

_T = TypeVar("_T")


@dataclass(frozen=True)
class WordModelConfig:
    """How words are weighed against sounds.

    Attributes:
        units: name of the model's units that the lexicon is made of.
        lm_weight, word_bonus, end_weight, unknown: see `LanguageModelScorer`.
        log_prior: of each token, natural logarithm; empty for none.
        search: how wide to look.
    """

    units: str = "phones"
    lm_weight: float = 1.0
    word_bonus: float = 0.0
    end_weight: float = 0.5
    unknown: float = -10.0
    log_prior: tuple[float, ...] = ()
    search: LexiconSearchConfig = field(default_factory=LexiconSearchConfig)


class WordModel:
    """Builds word searches for the tokens of one tokenizer.

    Args:
        config: the weights.
        tokenizer: of the model's units.
        lm: the language model.
        lexicon: of all the language model's words, in its order.
        g2p: pronounces other words; None where words are spelled.
    """

    def __init__(
        self,
        config: WordModelConfig,
        tokenizer: Tokenizer,
        lm: NGram,
        lexicon: Lexicon,
        g2p: GraphemeToPhoneme | None = None,
    ):
        if lexicon.words != lm.words[len(SPECIAL) :]:
            raise ValueError("the lexicon must have the words of the language model, in its order")
        self.config, self.tokenizer, self.lm, self.lexicon, self.g2p = config, tokenizer, lm, lexicon, g2p

    @classmethod
    def load(cls, folder: str | Path, units: Tokenizer | Mapping[str, Tokenizer]) -> WordModel:
        """Read a folder that `save` wrote.

        Args:
            units: the tokenizer of the units that the lexicon is made of, or all of a model's by their names.

        Raises:
            CheckpointError: a file is missing or damaged, or belongs to another model.
        """
        folder = Path(folder)
        config = read_config(folder)
        tokenizer = units if isinstance(units, Tokenizer) else units.get(config.units)
        if tokenizer is None or len(config.log_prior) not in (0, len(tokenizer)):
            raise CheckpointError(f"{folder / CONFIG} belongs to a model of other units: take all from one checkpoint")
        lm = NGram.load(folder / LANGUAGE_MODEL)
        words = lm.words[len(SPECIAL) :]
        if isinstance(tokenizer, Characters):
            try:
                return cls(config, tokenizer, lm, Lexicon.spelled(words, tokenizer))
            except UsageError as error:
                raise CheckpointError(f"{folder / LANGUAGE_MODEL} belongs to another model: {error}") from None
        lexicon = Lexicon.load(folder / LEXICON, words, tokenizer)
        g2p = GraphemeToPhoneme.load(folder / G2P)
        if unknown := g2p.phones.difference(tokenizer.tokens):
            raise CheckpointError(f"{folder / G2P} belongs to another model: this one has no {min(unknown)!r}")
        return cls(config, tokenizer, lm, lexicon, g2p)

    def save(self, folder: str | Path) -> None:
        """Write the files into a folder, which is made if need be."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.lm.save(folder / LANGUAGE_MODEL)
        if self.g2p is not None:
            self.lexicon.save(folder / LEXICON, self.tokenizer)
            self.g2p.model.save(folder / G2P)
        write_json(folder / CONFIG, dataclasses.asdict(self.config))

    def search(self, hotwords: Hotwords = (), beam: int | None = None) -> tuple[LexiconSearch, Tokenizer]:
        """A search, and the tokenizer that spells the words which it finds.

        Args:
            hotwords: words or phrases that are to be expected, or pairs of one and its weight: see `Hotword`. Words may
                be ones that the lexicon doesn't have.
            beam: hypotheses kept, in place of the model's own number.

        Raises:
            UsageError: a phrase without words, or with a word that the units cannot spell; a weight that is no number.
        """
        phrases = unique_phrases(hotwords)
        lexicon, tree = self.lexicon, self._tree
        new = {word: hotword for words, hotword in phrases.items() for word in words if word not in self._ids}
        if new:
            lexicon = lexicon.extended(self._new_words(new))
            tree = PrefixTree.build(lexicon.word, lexicon.tokens)
        scorer: WordScorer = self._scorer(len(lexicon.words))
        if phrases:
            ids = {**self._ids, **dict(zip(new, range(len(self._ids) + 1, len(lexicon.words) + 1), strict=True))}
            weights = [([ids[word] for word in words], hotword.weight) for words, hotword in phrases.items()]
            scorer = PhraseBoost(scorer, weights)
        config = self.config.search if beam is None else dataclasses.replace(self.config.search, size=beam)
        prior = np.array(self.config.log_prior) if self.config.log_prior else None
        return LexiconSearch(tree, scorer, self.tokenizer.silence, config, prior), lexicon.tokenizer()

    def pronunciations(self, words: Mapping[str, Hotword]) -> dict[str, list[list[int]]]:
        """How words are said, or spelled: for each, its sequences of tokens.

        Args:
            words: normalised words; for each, what an error names.

        Raises:
            UsageError: nobody knows how one is said.
        """
        new = {word: hotword for word, hotword in words.items() if word not in self._ids}
        lexicon = self._new_words(new) if new else None
        ids = dict(zip(new, range(1, len(new) + 1), strict=True))
        return {
            word: lexicon.variants(ids[word]) if lexicon and word in ids else self.lexicon.variants(self._ids[word])
            for word in words
        }

    @cached_property
    def _tree(self) -> PrefixTree:
        return PrefixTree.build(self.lexicon.word, self.lexicon.tokens)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.lexicon.words, start=1)}

    def _scorer(self, words: int) -> LanguageModelScorer:
        count = len(self.lexicon.words)
        ids = np.full(words + 1, UNK)
        ids[1 : count + 1] = np.arange(len(SPECIAL), len(SPECIAL) + count)
        config = self.config
        return LanguageModelScorer(self.lm, ids, config.lm_weight, config.word_bonus, config.end_weight, config.unknown)

    def _new_words(self, words: Mapping[str, Hotword]) -> Lexicon:
        if isinstance(self.tokenizer, Characters):
            alphabet = self.tokenizer.tokens
            for word, hotword in words.items():
                if strange := sorted(set(latin_letters(word, alphabet)) - set(alphabet)):
                    raise hotword.error(f"this model cannot write {', '.join(strange)}, which {word!r} has")
            return Lexicon.of((word, self.tokenizer.encode(latin_letters(word, alphabet) + " ")) for word in words)
        known = _Pronunciations(self.lexicon, self._ids, self.tokenizer)
        spoken = {word: self._pronounce(word, hotword, known) for word, hotword in words.items()}
        return Lexicon.pronounced(spoken, cast(Symbols, self.tokenizer))

    def _pronounce(self, word: str, hotword: Hotword, known: Mapping[str, list[list[str]]]) -> list[list[str]]:
        letters = latin_letters(word, ENGLISH)
        if self.g2p is None or not is_word(letters):
            raise hotword.error(
                f"cannot tell how {word!r} is said: write hotwords in Latin letters, and numbers as words"
            )
        found = derive(letters, known) or self.g2p(letters, _VARIANTS)
        if not found:
            raise hotword.error(f"cannot tell how {word!r} is said: its letters have no sounds")
        return found


class _Pronunciations(Mapping[str, list[list[str]]]):
    """The pronunciations of a lexicon's words as phones, looked up one by one: spelling out all takes a second."""

    def __init__(self, lexicon: Lexicon, ids: Mapping[str, int], phones: Tokenizer):
        self.lexicon, self.ids, self.phones = lexicon, ids, phones

    def __getitem__(self, word: str) -> list[list[str]]:
        return [[self.phones.tokens[token] for token in tokens] for tokens in self.lexicon.variants(self.ids[word])]

    def __contains__(self, word: object) -> bool:
        return word in self.ids

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


def read_config(folder: Path) -> WordModelConfig:
    """The weights of a word model. Raises CheckpointError where they are missing, damaged or too new."""
    path = folder / CONFIG
    document = read_json(path)
    try:
        prior = document.pop("log_prior", [])
        if not isinstance(prior, list) or not all(map(_is_finite, prior)):
            raise ValueError("log_prior must be a list of numbers")
        search = _fields(LexiconSearchConfig, document.pop("search", None))
        if not search.blank_skip > 0 or not search.alternatives >= 0 or not math.isfinite(search.temperature):
            raise ValueError("search has a blank_skip, alternatives or a temperature out of range")
        return _fields(WordModelConfig, document, log_prior=tuple(prior), search=search)
    except (ValueError, UsageError) as error:
        raise CheckpointError(f"{path} is damaged, or of a newer version: {error}") from None


def _fields(kind: type[_T], values: Any, **others: Any) -> _T:
    """A config of plain fields, each of its type. Raises ValueError, and UsageError as from the class."""
    types = {field.name: field.type for field in dataclasses.fields(kind) if field.name not in others}  # type: ignore[arg-type]
    if not isinstance(values, dict) or values.keys() - types.keys():
        raise ValueError(f"{kind.__name__} has {', '.join(types)}")
    for name, value in values.items():
        fits = {
            "float": _is_finite(value) or (name in _WIDTHS and value == math.inf),
            "int": type(value) is int and abs(value) < _MOST,
            "bool": type(value) is bool,
            "str": type(value) is str,
        }
        if not fits[str(types[name])]:
            raise ValueError(f"{name} cannot be {value!r}")
    return kind(**values, **others)


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _MOST
