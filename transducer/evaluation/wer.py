"""Word and character error rates.

Texts are compared in lower case without punctuation. In languages without spaces between words (Chinese, Japanese,
Thai, Lao, Burmese) each character counts as a word, and spaces as nothing. The counts are those of the alignment with
the fewest errors (jiwer), summed over all utterances before dividing: long utterances count for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transducer.text.english.normalise import normalise
from transducer.text.unspaced import apart, glued


@dataclass(frozen=True)
class ErrorCounts:
    """Errors against `words` reference words, and `character_errors` against `characters` (spaces included)."""

    words: int
    insertions: int
    deletions: int
    substitutions: int
    characters: int
    character_errors: int

    @property
    def errors(self) -> int:
        return self.insertions + self.deletions + self.substitutions

    @property
    def wer(self) -> float | None:
        """Word error rate as a fraction; above 1 when words are made up, None without reference words."""
        return self.errors / self.words if self.words else None

    @property
    def cer(self) -> float | None:
        """Character error rate as a fraction; None without reference characters."""
        return self.character_errors / self.characters if self.characters else None


def count_errors(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorCounts:
    """Count the errors of hypotheses[i] against references[i].

    Raises:
        ValueError: the two have different lengths.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references, but {len(hypotheses)} hypotheses")
    if not references:
        return ErrorCounts(0, 0, 0, 0, 0, 0)
    import jiwer

    truth = [normalise(text) for text in references]
    guess = [normalise(text) for text in hypotheses]
    by_word = jiwer.process_words([apart(text) for text in truth], [apart(text) for text in guess])
    by_character = jiwer.process_characters([glued(text) for text in truth], [glued(text) for text in guess])
    return ErrorCounts(
        words=by_word.hits + by_word.substitutions + by_word.deletions,
        insertions=by_word.insertions,
        deletions=by_word.deletions,
        substitutions=by_word.substitutions,
        characters=by_character.hits + by_character.substitutions + by_character.deletions,
        character_errors=by_character.insertions + by_character.deletions + by_character.substitutions,
    )
