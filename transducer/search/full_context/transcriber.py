"""A full-context model on one segment: encode it, tell its language, write its text, and tell when each token was said.

Legend of axis suffixes: N rows, T steps of the front-end, S steps of the encoder, F features, A heads, U tokens,
V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import as_numpy, on_device, without_gradients
from transducer.search.full_context.alignment import token_starts
from transducer.search.full_context.greedy import Suggest, nothing, write_greedily
from transducer.search.full_context.prompted import Extends, Prompted
from transducer.search.full_context.quality import DOUBLED, once_round
from transducer.search.tokens.attention.decoding import search_tokens
from transducer.search.tokens.attention.memories import Memories, Written, log_softmax
from transducer.search.tokens.attention.settings import Settings, TokenScorer
from transducer.text.unspaced import LANGUAGES

TOKENS_PER_SECOND = 12.0  # nobody speaks faster; what writes faster goes round in circles
UNSPACED_TOKENS_PER_SECOND = 36.0  # where a token may be a third of a character
SPARE_TOKENS = 24
USUAL_TOKENS_PER_SECOND = 5.0  # few speak faster; a draft with more ends where it begins to say the same again


class Steering(Protocol):
    """The tokens that steer a decoder, see `transducer.heads.segment.SpecialTokens`."""

    start: int
    end: int
    previous: int | None
    no_speech: int | None
    no_timestamps: int | None
    timestamp_begin: int | None
    transcribe: int | None
    translate: int | None
    languages: dict[str, int]
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]
    alignment_heads: tuple[tuple[int, int], ...]


class Encodes(Protocol):
    """A head with an encoder and a decoder of segments, see `transducer.heads.segment.SegmentHead`."""

    config: Any
    size: int
    decoder: Any

    def encode(self, features: Any, mask: Any) -> tuple[Any, Any]: ...
    def levels(self, features: NDArray[Any]) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Asked:
    """What is to be written.

    Attributes:
        language: None where it is to be told.
        translate: whether into English.
        context: tokens that the decoder reads as what came before.
        silence: steps of silence behind a segment, without which some decoders do not know that it is over.
        seconds_per_step: of the front-end.
    """

    language: str | None = None
    translate: bool = False
    context: tuple[int, ...] = ()
    silence: int = 200
    seconds_per_step: float = 0.01


class Heard(NamedTuple):
    """An encoded segment.

    Attributes:
        memories: what the decoder attends to.
        steps, states: of the segment, and of the encoder for them; behind these is silence.
    """

    memories: Memories
    steps: int
    states: int


class Text(NamedTuple):
    """What was written.

    Attributes:
        tokens, log_probs: those that had to be there first included, at a log-probability of 0.
        mean: of the log-probabilities of what was written; of the end alone where that is all.
        score: as of the search.
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    mean: float
    score: float


class Writes(Protocol):
    """What writes the texts of segments, see `Transcriber`."""

    asked: Asked
    invents: bool
    languages: tuple[str, ...]

    def read(self, features: NDArray[np.float32], whole: bool = False) -> Any: ...
    def opening(self, heard: Any) -> tuple[float, dict[str, float]]: ...
    def write(
        self,
        heard: Any,
        prefix: tuple[int, ...],
        language: str | None,
        temperature: float | None = None,
        number: int = 0,
        draft: bool = False,
        guess: tuple[int, ...] = (),
        suggest: Suggest = nothing,
    ) -> list[Text]: ...
    def starts(self, heard: Any, tokens: tuple[int, ...], language: str | None) -> list[int]: ...


class Transcriber:
    """See the top of this file.

    Args:
        head: of the model.
        special: numbers of tokens that are never written.
        asked: what is to be written.
        settings: how final texts are searched.
        scorer: what a beam search adds to the log-probabilities of tokens.

    Attributes:
        invents: whether texts may have what nobody said, or go round in circles.
        languages: that there are to be told apart; none where there is one alone.
    """

    invents = True

    def __init__(
        self,
        head: Encodes,
        special: Sequence[int],
        asked: Asked,
        settings: Settings,
        scorer: TokenScorer | None = None,
    ):
        self.head, self.asked, self.settings, self.scorer = head, asked, settings, scorer
        self.steering: Steering = head.config.tokens
        self.languages = tuple(self.steering.languages)
        decoder: Extends = head.decoder
        self.decoder = decoder
        banned = np.zeros(head.size, np.float32)
        banned[[token for token in (*special, *self.steering.suppressed) if token != self.steering.end]] = -math.inf
        if self.steering.timestamp_begin is not None:
            banned[self.steering.timestamp_begin :] = -math.inf
        first = banned.copy()
        first[[token for token in self.steering.suppressed_first if token != self.steering.end]] = -math.inf
        self._banned, self._banned_first = banned, first

    def read(self, features: NDArray[np.float32], whole: bool = False) -> Heard:
        """Encode a segment (T, F) with some silence behind it, or with as much as the model was trained on."""
        config, steps = self.head.config, len(features)
        silence = config.max_steps if whole and self.asked.silence else self.asked.silence
        length = min(config.max_steps, steps + silence)
        padded = np.full((1, length, features.shape[1]), config.silence, np.float32)
        padded[0, :steps] = features
        device = self.decoder.device
        with without_gradients():
            steps_exist = np.ones((1, length), np.bool_)
            states, exists = self.head.encode(on_device(padded, device), on_device(steps_exist, device))
            prepared = self.decoder.attend_to(states, exists)
        memories = Memories(prepared, as_numpy(exists), [config.longest], device)
        return Heard(memories, steps, max(1, math.ceil(states.shape[1] * steps / length)))

    def opening(self, heard: Heard) -> tuple[float, dict[str, float]]:
        """The probability that a segment has no speech, and the log-probability of each language."""
        prepared, steering = heard.memories.prepared, self.steering
        read = on_device(np.array([[steering.start]]), self.decoder.device)
        with without_gradients():
            logits, _ = self.decoder.extend(read, prepared, self.decoder.start(prepared))
        (log_probs,) = log_softmax(logits[:, -1])
        no_speech = 0.0 if steering.no_speech is None else math.exp(log_probs[steering.no_speech])
        if not steering.languages:
            return no_speech, {}
        (said,) = log_softmax(log_probs[None, list(steering.languages.values())])
        return no_speech, dict(zip(self.languages, said.tolist(), strict=True))

    def write(
        self,
        heard: Heard,
        prefix: tuple[int, ...],
        language: str | None,
        temperature: float | None = None,
        number: int = 0,
        draft: bool = False,
        guess: tuple[int, ...] = (),
        suggest: Suggest = nothing,
    ) -> list[Text]:
        """The texts of a segment, best first.

        Args:
            prefix: tokens that they have to begin with.
            language: of the text.
            temperature: draws one; the search of the settings if None.
            number: of the step at which the segment begins, so that each is drawn with random numbers of its own.
            draft: greedily, whatever the settings say, and not twice round a circle.
            guess: tokens that probably follow the prefix; a greedy search is faster with them, and says the same.
            suggest: guesses what follows tokens behind the prefix, where there is no guess, or where it was wrong.
        """
        settings = replace(self.settings, kind="greedy") if draft else self.settings
        if temperature is not None:
            settings = replace(settings, kind="sample", temperature=temperature)
        prompt = (*self.asked.context, *self._opening(language), *prefix)
        room = (self.head.decoder.longest or math.inf) - len(prompt) - 1
        seconds = heard.steps * self.asked.seconds_per_step
        most = UNSPACED_TOKENS_PER_SECOND if language in LANGUAGES else TOKENS_PER_SECOND
        limit = min(*heard.memories.limits, SPARE_TOKENS + math.ceil(most * seconds))
        memories = heard.memories._replace(limits=[int(max(0, min(limit - len(prefix), room)))])
        banned = self._banned if prefix else self._banned_first
        prompted = Prompted(self.decoder, prompt, self.steering.end, self._banned, banned)
        scorer = None if self.scorer is None or settings.kind != "beam" else _Numbered(self.scorer, prompted)
        with without_gradients():
            if settings.kind == "greedy":
                usual = USUAL_TOKENS_PER_SECOND * seconds

                def enough(tokens: Sequence[int]) -> bool:
                    said = (*prefix, *tokens)
                    return draft and len(said) > usual and once_round(said, *DOUBLED) < len(said)

                return [self._text(write_greedily(prompted, memories, guess, enough, suggest), prefix)]
            (written,) = search_tokens(prompted, memories, settings, [number], scorer)
        return [self._text(text._replace(tokens=prompted.ids(text.tokens)), prefix) for text in written]

    def starts(self, heard: Heard, tokens: tuple[int, ...], language: str | None) -> list[int]:
        """On which step of the segment each token begins, and the last one ends: one more than there are tokens."""
        opening = self._opening(language)
        read = on_device(np.array([[*opening, *tokens]]), self.decoder.device)
        heads = self.steering.alignment_heads or self._upper_heads
        with without_gradients():
            weights = as_numpy(self.decoder.aligned(read, heard.memories.prepared, heads))
        said = weights[0, :, len(opening) - 1 :, : heard.states].astype(np.float32)
        return [min(heard.steps, round(state * heard.steps / heard.states)) for state in token_starts(said)]

    @property
    def _upper_heads(self) -> list[tuple[int, int]]:
        config = self.head.config.decoder
        return [(layer, head) for layer in range(config.layers // 2, config.layers) for head in range(config.heads)]

    def _opening(self, language: str | None) -> tuple[int, ...]:
        steering = self.steering
        task = steering.translate if self.asked.translate else steering.transcribe
        spoken = (steering.languages[language], task) if language is not None and steering.languages else ()
        return tuple(token for token in (steering.start, *spoken, steering.no_timestamps) if token is not None)

    @staticmethod
    def _text(text: Written, prefix: tuple[int, ...]) -> Text:
        # The score has what a scorer added.
        mean = sum(text.log_probs) / len(text.log_probs) if text.log_probs else text.score
        return Text((*prefix, *text.tokens), (*(0.0 for _ in prefix), *text.log_probs), mean, text.score)


class _Numbered:
    """A scorer over a tokenizer's numbers, over those of `Prompted`."""

    def __init__(self, scorer: TokenScorer, prompted: Prompted):
        self.scorer, self.prompted = scorer, prompted

    def log_probs(self, texts: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        found = self.scorer.log_probs([self.prompted.ids(text) for text in texts])
        found[:, [0, self.prompted.end]] = found[:, [self.prompted.end, 0]]
        return found
