"""The recordings of `speech-en` as training examples: tokens of byte pairs, and of phones by way of a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.speech_en.targets import PHONES, Pronounce, Targets
from transducer.data.pairs import Target
from transducer.data.recordings import Dataset, Recordings
from transducer.text.tokenizers.tokenizer import Tokenizer


class Speech(Recordings):
    """Recordings with pronunciations.

    Args:
        datasets: the tables.
        units: name of units -> tokenizer; of those called "phones", words come by way of the dictionary.
        heads: name of head -> name of units, for those that learn from pairs.
        lexicon: a pronouncing dictionary in CMUdict's format; pronounce: for words that it lacks. Without that,
            recordings with such words are not trained on phones.
        spoken: to be shared between what is trained on and what is measured; also: what else must be pronounced.
        others: see `Recordings`.

    Attributes:
        spoken: targets of texts.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        units: Mapping[str, Tokenizer],
        heads: Mapping[str, str],
        *,
        lexicon: Path | None = None,
        pronounce: Pronounce | None = None,
        also: Sequence[Dataset] = (),
        spoken: Targets | None = None,
        **others: Any,
    ):
        spelling = {name: tokenizer for name, tokenizer in units.items() if name != PHONES}
        super().__init__(datasets, spelling, **others)
        self.heads, self.also = dict(heads), tuple(also)
        self.spoken = spoken or Targets(units)
        self._lexicon, self._pronounce = lexicon, pronounce

    @property
    def fingerprint(self) -> list[Any]:
        # The second is a table of alignments in runs that began when recordings could have one.
        return [*super().fingerprint, [self._lexicon.name if self._lexicon else None, None]]

    def prepare(self, cache: Path, progress: bool = True) -> None:
        super().prepare(cache, progress)
        more = [item.text for dataset in self.also for item in self._read(dataset)]
        said = [item.text for item in self.store.utterances]
        self.spoken.learn([*said, *more], self._lexicon, self._pronounce, cache)

    def targets(self, number: int, variant: int) -> dict[str, Target]:
        text = self.store.utterances[number].text
        known = {head: self.spoken.tokens(text, units) for head, units in self.heads.items()}
        return {head: tokens for head, tokens in known.items() if tokens}
