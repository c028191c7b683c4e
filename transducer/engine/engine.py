"""What streams run: a network as one stage from a medium to a head's outputs, and a search from those to results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.engine.backend import Backend
from transducer.engine.clock import FrameClock, SteadyClock
from transducer.media.medium import Medium
from transducer.model.state import State
from transducer.search.result_search import ResultSearch

# Of a source that is judged as a whole: at 40 ms a step 43 minutes of sound. What is gathered until its end takes 67 MB
# for 256 channels; the pass over it, the features of so many steps a few times over.
LONGEST_WHOLE = 65_536  # steps


class Engine:
    """Built once, shared by all streams. Any medium goes with any head.

    A network that cannot step as a whole, such as a bidirectional one, streams up to the first stage that cannot. What
    comes out of there is gathered, and the rest of the network runs over all of it at the end of the source.

    Args:
        network: steps of the medium (B, T, C) -> outputs of a head (B, T / stride, V), and what computes it.
        search: from those to results.
        medium: what steps are.
        block: steps to work on at a time, a multiple of the network's block; None for that.
        delay: output steps by which the head emits late. So many steps of silence follow the end of a stream.
        renew: output steps in which nothing was heard, after which the network remembers the newest block alone; None
            for never. Needs a network that does not look ahead, whose outputs would be lost.

    Attributes:
        longest: steps that a source may have; None where all stages stream.
        stride: steps per output.
        tail: steps that have to follow the last one for its outputs to come out: the network's look-ahead.
        silence: steps of silence that come between the last one and the tail.
    """

    def __init__(
        self,
        network: Backend,
        search: ResultSearch[Any, Any],
        medium: Medium,
        block: int | None = None,
        delay: int = 0,
        renew: int | None = None,
    ):
        self.network, self.search, self.medium = network, search, medium
        self.stride = network.stride
        self.longest = LONGEST_WHOLE * network.stride if network.whole else None
        self.block = block or self.network.block
        if self.block % self.network.block:
            raise ValueError(f"this network works on {self.network.block} steps at a time, and {block} is no multiple")
        self.tail = self.network.latency * self.network.stride
        self.silence = delay * self.stride
        self._renew = renew if not self.tail and self.streams else None

    @property
    def streams(self) -> bool:
        """Whether results come while the source goes on; otherwise all of them come at its end."""
        return not self.network.whole

    @property
    def renews(self) -> bool:
        """Whether the network's state is renewed where nothing is heard, see `is_stale`."""
        return self._renew is not None

    @property
    def known_fps(self) -> float | None:
        """Frames per second that the network knows, see `transducer.media.video.medium.Frames`; None for any."""
        return getattr(self.medium, "known_fps", None)

    @property
    def kind(self) -> str:
        """Of the results: "words" or "events"."""
        return self.search.kind

    @property
    def latency(self) -> float:
        """Algorithmic latency in seconds: how much is heard or seen before the first of it is decoded, at most.

        Infinite where the whole source is needed.
        """
        return self.latency_at(self.block)

    def latency_at(self, block: int) -> float:
        """The latency of a stream that works on so many steps at a time."""
        if not self.streams:
            return math.inf
        return float((block + self.tail + self.silence) / self.medium.rate)

    @property
    def lookahead(self) -> int:
        """Steps after a step which the network sees before it judges that step, at most."""
        return self.network.lookahead if self.longest is None else self.longest

    @property
    def output_rate(self) -> Fraction:
        """Outputs of the head per second; nominal where the medium's clock is not steady."""
        return Fraction(self.medium.rate) / self.stride

    def clock(self, start: float = 0.0) -> SteadyClock | FrameClock:
        """The clock of a new stream that begins at a second of its source, where steps have no times of their own."""
        return SteadyClock(self.output_rate, start) if self.medium.steady else FrameClock(self.stride)

    def is_stale(self, search: Any) -> bool:
        """Whether the network's state of a stream has filled with silence, by the state of its search.

        Blocks lie where they lie, so that this depends on the media and not on its packets.
        """
        return self._renew is not None and self.search.idle(search) >= self._renew

    def init_state(self, batch: int) -> State:
        """The network's state before the first step of so many streams."""
        return self.network.init_state(batch)

    def encode(
        self, parts: Sequence[NDArray[Any]], steps: int, state: State
    ) -> tuple[list[NDArray[np.float32]], State]:
        """One step of the network.

        Args:
            parts: for each row at most `steps` steps of the medium, (N, C).

        Returns:
            For each row the outputs (T, V) that exist, and the new state.
        """
        x = np.zeros((len(parts), steps, self.medium.channels), self.medium.dtype)
        for row, part in zip(x, parts, strict=True):
            row[: len(part)] = part
        lengths = np.array([len(part) for part in parts])
        outputs, exists, state = self.network.step(x, np.arange(steps) < lengths[:, None], state)
        return [row[present] for row, present in zip(outputs, exists, strict=True)], state

    def conclude(self, encoded: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """All outputs (T, V) of a source, by the stages that need the whole of what the others made of it.

        Args:
            encoded: parts (T_i, C), at least one step in all, one after the other.
        """
        return self.network.conclude(np.concatenate(encoded))
