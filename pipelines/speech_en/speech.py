"""The recordings of `speech-en` as training examples: tokens of characters and phones, and phones frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.speech_en.targets import PHONES, Pronounce, Targets, read_alignments
from transducer.data.augment.features import AugmentConfig
from transducer.data.pairs import Pair, Target
from transducer.data.recordings import Dataset, Recordings
from transducer.errors import UsageError
from transducer.text.tokenizers.tokenizer import Tokenizer

ALIGNMENT = "alignment"  # in a pair's y: the phone of every frame of the encoder
STRIDE = 4  # features that make one


class Speech(Recordings):
    """Recordings with pronunciations and alignments.

    Args:
        datasets: the tables.
        units: name of units -> tokenizer; of those called "phones", words come by way of the dictionary.
        heads: name of head -> name of units, for those that learn from pairs.
        lexicon: a pronouncing dictionary in CMUdict's format; pronounce: for words that it lacks. Without that,
            recordings with such words are not trained on phones.
        alignments: a table of phone alignments (utterance, phones, starts, ends).
        texts: gives sentences that nobody read out, spelled as transcripts are.
        spoken: to be shared between what is trained on and what is measured; also: what else must be pronounced.
        others: see `Recordings`.

    Attributes:
        spoken: targets of texts, and the alignments as far as there are any.
        given: ids of the recordings that came with an alignment.
        texts: those of the sentences that can be spelled.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        units: Mapping[str, Tokenizer],
        heads: Mapping[str, str],
        *,
        lexicon: Path | None = None,
        pronounce: Pronounce | None = None,
        alignments: Path | None = None,
        texts: Callable[[], Sequence[str]] | None = None,
        also: Sequence[Dataset] = (),
        spoken: Targets | None = None,
        **others: Any,
    ):
        spelling = {name: tokenizer for name, tokenizer in units.items() if name != PHONES}
        super().__init__(datasets, spelling, **others)
        self.heads, self.also = dict(heads), tuple(also)
        self.spoken = spoken or Targets(units)
        self._lexicon, self._pronounce, self._alignments, self._sentences = lexicon, pronounce, alignments, texts
        self.given: frozenset[str] = frozenset()
        self.texts: list[str] = []

    @property
    def fingerprint(self) -> list[Any]:
        files = [path.name if path else None for path in (self._lexicon, self._alignments)]
        return [*super().fingerprint, files]

    def prepare(self, cache: Path, progress: bool = True) -> None:
        super().prepare(cache, progress)
        self.texts = [text for text in (self._sentences() if self._sentences else ()) if self._is_spelled(text)]
        if PHONES not in self.spoken.units:
            return
        more = [item.text for dataset in self.also for item in self._read(dataset)]
        said = [item.text for item in self.store.utterances]
        self.spoken.learn([*said, *more, *self.texts], self._lexicon, self._pronounce, cache)
        if self._alignments:
            self.spoken.alignments = read_alignments(self._alignments, self.spoken.units[PHONES])
            self.given = frozenset(self.spoken.alignments)  # these stay when others are made anew

    def targets(self, number: int, variant: int) -> dict[str, Target]:
        item = self.store.utterances[number]
        found: dict[str, Target] = {}
        for head, units in self.heads.items():
            if tokens := self.spoken.tokens(item.text, units):
                found[head] = tokens
        if alignment := self.spoken.alignments.get(item.id):
            frames = -(-int(self.lengths[number, variant]) // STRIDE)
            seconds = STRIDE * self.config.hop / self.config.rate
            found[ALIGNMENT] = alignment.frame_labels(frames, seconds, float(self.store.speeds[variant]))
        return found

    def _is_spelled(self, text: str) -> bool:
        try:
            return all(tokenizer.encode(text) for tokenizer in self.spelling.values())
        except UsageError:
            return False


class Part:
    """A `Speech` as one phase has it: augmented in another way, and perhaps only what is aligned.

    It is prepared with the `Speech` itself, which must be the recipe's `train`.
    """

    enters = Recordings.enters

    def __init__(self, speech: Speech, augment: AugmentConfig | None, aligned: bool = False):
        self.speech, self.augment, self.aligned = speech, augment, aligned
        self.fingerprint = [repr(augment), aligned]
        self._change: Any = None
        self._rows: list[int] = []

    @property
    def lengths(self) -> np.ndarray:
        """(N, V); what is aligned counts as it is now."""
        known = self.speech.spoken.alignments
        items = self.speech.store.utterances
        self._rows = [row for row, item in enumerate(items) if not self.aligned or item.id in known]
        if not self._rows:
            raise UsageError("none of the recordings has an alignment")
        self._change = self.speech.augmentation(self.augment)
        return self.speech.lengths[self._rows]

    def __len__(self) -> int:
        return len(self.lengths)

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        number, variant = divmod(index, self.speech.lengths.shape[1])
        return self.speech.changed(self._rows[number], variant, self._change, rng)
