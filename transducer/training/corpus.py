"""The data of a run: its tables as feature caches, how words are pronounced, and what is to be learned of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from transducer.data.features import FeatureConfig, FeatureStore
from transducer.data.item import Item
from transducer.data.table import read_table
from transducer.errors import UsageError
from transducer.frontends.logmel import LogMelConfig
from transducer.heads.ctc import CTCConfig
from transducer.text.english.lexicon import Pronunciations, load_pronunciations, read_cmudict, save_pronunciations
from transducer.text.english.normalise import normalise
from transducer.training.crf import trigrams
from transducer.training.recipe import Recipe, Table
from transducer.training.targets import Targets, read_alignments

PHONES = "phones"


@dataclass(frozen=True)
class Corpus:
    """What is trained and evaluated on.

    Attributes:
        train, dev, noise, silence: feature caches; all but the first may be None.
        targets: for the batches of `train`.
        hours: of each table in `train`, at its original speed.
        texts: sentences for the "text" losses.
    """

    train: FeatureStore
    dev: FeatureStore | None
    noise: FeatureStore | None
    targets: Targets
    hours: Mapping[str, float]
    texts: Sequence[str] = ()
    silence: FeatureStore | None = None

    def dev_texts(self, units: str) -> list[str]:
        """The reference of every dev utterance in these units, as their tokenizer decodes it; "" if not known."""
        tokens = (self.targets.tokens(utterance.text, units) for utterance in self.dev.utterances)
        return [self.targets.units[units].decode(ids) if ids else "" for ids in tokens]


class Subset:
    """Some utterances of a FeatureStore, as a store of their own."""

    def __init__(self, store: FeatureStore, rows: Sequence[int]):
        self.store, self.rows = store, list(rows)
        self.utterances = [store.utterances[row] for row in self.rows]
        self.speeds, self.frames = store.speeds, store.frames[self.rows]

    def features(self, utterance: int, variant: int = 0) -> np.ndarray:
        return self.store.features(self.rows[utterance], variant)


def open_corpus(recipe: Recipe, cache: Path, workers: int = 1, progress: bool = True) -> Corpus:
    """Read the tables of a recipe and open their features, which are computed below `cache` where need be.

    Raises:
        UsageError: a table that cannot be used, a text that the units cannot spell, a recording in both train and
            dev. MediaError: a recording that cannot be decoded.
    """
    frontend = _feature_config(recipe.model.frontend)
    tables = {table.title: _read(table, recipe) for table in recipe.train}
    train = [utterance for table in tables.values() for utterance in table]
    dev = _read(recipe.dev, recipe) if recipe.dev else []
    both = {utterance.path.resolve() for utterance in train} & {utterance.path.resolve() for utterance in dev}
    if both:
        raise UsageError(f"{min(both)} is in {recipe.dev.path} and in what is trained on: it would measure nothing")
    texts = _texts(recipe)
    spoken = [utterance.text for utterance in (*train, *dev)]
    targets = Targets(recipe.units, _pronunciations(recipe, [*spoken, *texts], cache))
    if recipe.alignments:
        targets.alignments.update(read_alignments(recipe.alignments, recipe.units[PHONES]))

    for units in _modelled(recipe):
        known = (targets.tokens(utterance.text, units) for utterance in train)
        targets.models[units] = trigrams(filter(None, known), len(recipe.units[units]))

    def build(utterances: Sequence[Item], speeds: Iterable[float], *others: tuple[str, float]) -> FeatureStore:
        config = replace(frontend, variants=(*(("speed", speed) for speed in speeds), *others))
        return FeatureStore.build(utterances, cache, config, workers=workers, progress=progress)

    store = build(train, recipe.speeds, *recipe.variants)
    noise = silence = None
    if recipe.noise:
        noise = build(_rows(recipe.noise, needs=None), (1.0,))
    if any("silence" in phase.losses for phase in recipe.phases):
        if recipe.silence is None:
            raise UsageError("the recipe has a loss on silence, but no recordings of it")
        silence = build(_rows(recipe.silence(cache / "silence"), needs=None), (1.0,))
    seconds = iter(_seconds(store))
    hours = {name: sum(next(seconds) for _ in rows) / 3600 for name, rows in tables.items()}
    return Corpus(store, build(dev, (1.0,)) if dev else None, noise, targets, hours, texts, silence)


def _read(table: Table, recipe: Recipe) -> list[Item]:
    rows = _rows(table)
    if recipe.normalise:
        rows = [replace(row, text=normalise(row.text)) for row in rows]
    for name, tokenizer in recipe.units.items():
        if name == PHONES:
            continue
        for row in rows:
            try:
                tokenizer.encode(row.text)
            except UsageError as error:
                raise UsageError(f"{table.path}, utterance {row.id}: {error}") from None
    return rows


def _rows(table: Table, needs: str | None = "text") -> list[Item]:
    rows = list(read_table(table.path, needs=needs).items)
    if table.rows is None or table.rows >= len(rows):
        return rows
    return [rows[i * len(rows) // table.rows] for i in range(table.rows)]


def _texts(recipe: Recipe) -> list[str]:
    if not any(name.startswith(("text:", "aligned:")) for phase in recipe.phases for name in phase.losses):
        return []
    if recipe.texts is None:
        if not any(name.startswith("text:") for phase in recipe.phases for name in phase.losses):
            return []  # cascaded heads learn from what was recorded, then
        raise UsageError("the recipe has a text loss, but no texts")
    spelling = [tokenizer for name, tokenizer in recipe.units.items() if name != PHONES]

    def spelled(text: str) -> bool:
        try:
            return all(tokenizer.encode(text) for tokenizer in spelling)
        except UsageError:
            return False

    return [text for text in recipe.texts() if spelled(text)]


def _modelled(recipe: Recipe) -> set[str]:
    """The units of the "crf" losses."""
    heads = {name.removeprefix("crf:") for phase in recipe.phases for name in phase.losses if name.startswith("crf:")}
    decoders = recipe.model.heads
    for head in sorted(heads):
        if not isinstance(decoders.get(head), CTCConfig):
            raise UsageError(f"crf:{head}: the model has no CTC decoder {head!r}")
    return {decoders[head].units for head in heads}


def _pronunciations(recipe: Recipe, texts: Iterable[str], cache: Path) -> dict[str, list[str]]:
    """The likeliest pronunciation of every word, of the dictionary or, for others, of the recipe's `pronounce`."""
    if PHONES not in recipe.units:
        return {}
    if recipe.lexicon is None or not recipe.lexicon.is_file():
        raise UsageError(f"phones need a pronouncing dictionary: no such file: {recipe.lexicon}")
    lexicon = read_cmudict(recipe.lexicon)
    words = sorted({word for text in texts for word in text.split()})
    unknown = [word for word in words if word not in lexicon]
    others: Pronunciations = {}
    if recipe.pronounce and unknown:
        # Kept like features, because it may take minutes.
        key = [getattr(recipe.pronounce, "__qualname__", ""), recipe.lexicon.stat().st_size, unknown]
        path = cache / f"pronunciations-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.txt.z"
        if not path.exists():
            cache.mkdir(parents=True, exist_ok=True)
            save_pronunciations(path, recipe.pronounce(unknown, lexicon))
        others = load_pronunciations(path)
    variants = {word: lexicon.get(word) or others.get(word) for word in words}
    return {word: list(found[0]) for word, found in variants.items() if found}


def _feature_config(frontend: LogMelConfig) -> FeatureConfig:
    default = LogMelConfig()
    if (frontend.low_hz, frontend.floor) != (default.low_hz, default.floor):
        raise UsageError("features are cached with the front-end's default low_hz and floor: leave them in the recipe")
    return FeatureConfig(frontend.rate, frontend.bins, frontend.window, frontend.hop)


def _seconds(store: FeatureStore) -> list[float]:
    variant = int(np.argmin(np.abs(store.speeds - 1)))
    hop = store.config.hop / store.config.rate
    return [float(frames) * hop * store.speeds[variant] for frames in store.frames[:, variant]]
