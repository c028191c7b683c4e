"""The word language model and lexicon of English models, from text and a pronouncing dictionary.

    python -m pipelines.speech_en.word_lm DATA OUTPUT [--order 4] [--threshold 1.5e-8] ...

DATA has text/librispeech-train-transcripts.txt, text/novels.txt.xz and lexicon/cmudict.dict. OUTPUT gets

    words.ngram             the n-gram model over the vocabulary (transducer.text.lm.ngram)
    lexicon.bin             phones of every word of it (transducer.text.english.lexicon)
    g2p.ngram               joint letter-phone model for words that come at run time (transducer.text.english.g2p)
    words.json              how the search weighs them (transducer.search.tokens.word_model)
    report.json             sizes, and perplexity and unknown words of librispeech-dev

The vocabulary is all words of the transcripts, those that the novels have at least `--rare` times, and the
dictionary's. The two corpora's models are mixed with `--in-domain` as the weight of the transcripts.
"""

from __future__ import annotations

import argparse
import json
import lzma
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines.speech_en.word_text import normalise, running
from transducer.atomic import atomic_write
from transducer.data.table import read_table
from transducer.search.tokens.word_model import LANGUAGE_MODEL, WordModel, WordModelConfig
from transducer.text.english.g2p import GraphemeToPhoneme, align, is_word, units_of
from transducer.text.english.inflection import derive
from transducer.text.english.lexicon import Lexicon, read_cmudict
from transducer.text.lm import ngram_train
from transducer.text.lm.ngram import SPECIAL, UNK, NGram
from transducer.text.tokenizers.symbols import Symbols

# CMUdict's phones, without stress.
PHONES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
).split()

Sentences = list[list[str]]


def read_texts(data: Path, quick: bool = False) -> tuple[Sentences, Sentences]:
    """Transcripts and novels as lists of words; a small part of them where it has to be quick."""
    with open(data / "text/librispeech-train-transcripts.txt") as file:
        transcripts = [line.split() for line in file]
    with lzma.open(data / "text/novels.txt.xz", "rt", encoding="utf-8") as file:
        lines = (line for number, line in enumerate(file) if not quick or number < 2000)
        # The sentences follow each other as in the books, and are joined to stretches as long as the transcripts.
        novels = list(running(normalise(line) for line in lines))
    return transcripts[:1000] if quick else transcripts, novels


def vocabulary(transcripts: Sentences, novels: Sentences, dictionary: Iterable[str], rare: int) -> list[str]:
    """`SPECIAL`, then words by falling frequency: frequent words get small ids, which take less space."""
    in_domain = Counter(word for sentence in transcripts for word in sentence)
    counts = Counter(word for sentence in novels for word in sentence)
    words = {word for word, n in counts.items() if n >= rare} | in_domain.keys() | set(dictionary)
    counts += in_domain
    return [*SPECIAL, *sorted(filter(is_word, words), key=lambda word: (-counts[word], word))]


def train_lm(
    words: Sequence[str],
    corpora: Sequence[Sentences],
    weights: Sequence[float],
    order: int,
    threshold: float,
    cutoffs: Sequence[int],
) -> NGram:
    """Modified Kneser-Ney on each corpus, mixed and pruned; see `transducer.text.lm.ngram_train`."""
    ids = {word: number for number, word in enumerate(words)}
    encoded = [
        [np.array([ids.get(word, UNK) for word in sentence], dtype=np.int32) for sentence in corpus]
        for corpus in corpora
    ]
    tables = ngram_train.count(encoded, len(words), order)
    model = ngram_train.mix([ngram_train.kneser_ney(tables, k) for k in range(len(corpora))], weights)
    return ngram_train.export(ngram_train.prune(model, threshold, weights, cutoffs), words)


def joint_units(dictionary: Mapping[str, Sequence[Sequence[str]]]) -> Sentences:
    """Every entry as letters with their phones; entries that need a pair which hardly any other has are left out."""
    entries = [(word, phones) for word, variants in dictionary.items() for phones in variants]
    pairs = align([word for word, _ in entries], [phones for _, phones in entries])
    aligned = [units_of(pair) for pair in pairs if pair]
    counts = Counter(unit for units in aligned for unit in units)
    return [units for units in aligned if all(counts[unit] >= 5 for unit in units)]


def train_joint(entries: Sentences, order: int, threshold: float) -> NGram:
    """Joint letter-phone model of entries from `joint_units`."""
    words = [*SPECIAL, *sorted({unit for units in entries for unit in units})]
    return train_lm(words, [entries], [1.0], order, threshold, ())


def train_g2p(dictionary: Mapping[str, Sequence[Sequence[str]]], order: int, threshold: float) -> NGram:
    """Joint letter-phone model of a pronouncing dictionary."""
    return train_joint(joint_units(dictionary), order, threshold)


def pronounce(
    words: Iterable[str], dictionary: Mapping[str, list[list[str]]], g2p: GraphemeToPhoneme
) -> tuple[dict[str, list[list[str]]], Counter[str]]:
    """Phones of every word: by the dictionary, else by rule, else by the model; and how many of each."""
    found: dict[str, list[list[str]]] = {}
    ways: Counter[str] = Counter()
    for word in words:
        way, variants = "dictionary", dictionary.get(word)
        if not variants:
            way, variants = "rule", derive(word, dictionary)
        if not variants:
            way, variants = "model", g2p(word, variants=2)
        found[word] = variants
        ways[way] += 1
    return found, ways


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--order", type=int, default=4)
    parser.add_argument("--threshold", type=float, default=1.5e-8, help="of pruning (relative entropy)")
    parser.add_argument("--cutoffs", type=int, nargs="*", default=[1, 2, 3], help="least counts of orders 2, 3, ...")
    parser.add_argument("--in-domain", type=float, default=0.4, help="weight of the transcripts against the novels")
    parser.add_argument("--rare", type=int, default=2, help="least count of a word that only the novels have")
    parser.add_argument("--no-dictionary-words", action="store_true", help="leave out words that no text has")
    parser.add_argument("--quick", action="store_true", help="a small part of the data, to try the pipeline")
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    dictionary = read_cmudict(args.data / "lexicon/cmudict.dict")
    if args.quick:
        dictionary = dict(list(dictionary.items())[::20])
    transcripts, novels = read_texts(args.data, args.quick)
    words = vocabulary(transcripts, novels, [] if args.no_dictionary_words else dictionary, args.rare)
    say(f"{len(transcripts)} transcripts, {len(novels)} stretches of novels, {len(words)} words")

    weights = (args.in_domain, 1 - args.in_domain)
    lm = train_lm(words, (transcripts, novels), weights, args.order, args.threshold, args.cutoffs)
    lm.save(args.output / LANGUAGE_MODEL)
    lm = NGram.load(args.output / LANGUAGE_MODEL)  # rounded, as it ships
    dev = [list(item.words) for item in read_table(args.data / "speech/librispeech-dev.tsv", needs="text").items]
    perplexity, unknown = lm.perplexity(dev)
    say(f"n-grams {[len(level.key) for level in lm.levels]}, dev perplexity {perplexity:.1f}, unknown {unknown:.2%}")

    entries = joint_units(dictionary)
    whole = GraphemeToPhoneme(train_joint(entries, order=6, threshold=0.0))
    small = GraphemeToPhoneme(train_joint(entries, order=7, threshold=3e-7))
    say("letter-phone models")
    pronunciations, ways = pronounce(words[len(SPECIAL) :], dictionary, whole)
    phones = Symbols(PHONES)
    weights = WordModelConfig(lm_weight=1.2, word_bonus=-0.5)  # tuned on librispeech-dev
    WordModel(weights, phones, lm, Lexicon.pronounced(pronunciations, phones), small).save(args.output)
    say(f"pronunciations: {dict(ways)}")
    report = {
        "words": len(words),
        "ngrams": [len(level.key) for level in lm.levels],
        "dev_perplexity": round(perplexity, 1),
        "dev_unknown": round(unknown, 5),
        "pronunciations": ways,
        "bytes": {
            path.name: path.stat().st_size for path in sorted(args.output.glob("*.*")) if path.name != "report.json"
        },
    }
    with atomic_write(args.output / "report.json") as file:
        json.dump(report, file, indent=1)
    say(str(report["bytes"]))


if __name__ == "__main__":
    main()
