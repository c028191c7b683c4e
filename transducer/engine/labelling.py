"""From frames to events with times: `Labeller` is what runs, `LabelStream` takes frames. For sources see
`transducer.engine.label_session`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from transducer.engine.frame_blocks import USUAL_FPS, FrameBlock, check_picture, pixels, resize
from transducer.errors import CheckpointError, UsageError
from transducer.frontends.audio_visual import AudioVisualConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.pooled import PooledConfig
from transducer.model.network import Network
from transducer.model.sequence import Serial, State
from transducer.results import Event
from transducer.search.events.rules import EventRules, Found
from transducer.search.events.search import EventSearch, build_event_search
from transducer.search.events.words import build_word_search
from transducer.text.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Labeller:
    """What streams run; built once, shared by all.

    Attributes:
        network: steps (B, T, C) -> the outputs of a decoder, one a step.
        search: from those to events.
        rules: that the search was made by.
        labels: names by their number, the background "" first; empty where the decoder writes tokens.
        size: height, width and channels of a frame.
        samples: of sound that a step holds beside its frame; 0 for video alone.
        rate: of that sound, in samples per second.
    """

    network: Serial
    search: EventSearch[Any]
    rules: EventRules
    labels: tuple[str, ...]
    size: tuple[int, int, int]
    samples: int = 0
    rate: int = 0

    @property
    def look_ahead(self) -> int:
        """Frames after a frame which the network sees before it judges that frame, at most."""
        return self.network.lookahead

    @property
    def tail(self) -> int:
        """Steps that have to follow the last one for its output to come out."""
        return self.network.latency * self.network.stride

    def facts(self) -> dict[str, Any]:
        """What people want to know."""
        height, width, channels = self.size
        return {
            "frame_size": f"{width}x{height}" + (" grey" if channels == 1 else ""),
            **({"rate_hz": self.rate} if self.samples else {}),
            "events_kind": self.rules.kind,
            "labels": list(self.labels[1:]),
            "look_ahead_frames": self.look_ahead,
            "look_ahead_seconds": float(self.look_ahead / USUAL_FPS),
        }

    def init_state(self) -> State:
        return self.network.init_state(1, torch.zeros(()))

    @torch.inference_mode()
    def encode(self, inputs: NDArray[Any], steps: int, state: State) -> tuple[NDArray[np.float32], State]:
        """`steps` steps, of which the first exist and are `inputs` (N, C) -> the outputs (T, V) that exist, state."""
        if len(inputs) < steps:
            missing = np.zeros((steps - len(inputs), inputs.shape[1]), inputs.dtype)
            mask = torch.arange(steps) < len(inputs)
            inputs = np.concatenate([inputs, missing])
        else:
            mask = torch.ones(steps, dtype=torch.bool)
        outputs, exists, state = self.network.step(torch.from_numpy(inputs)[None], mask[None], state)
        return outputs[0][exists[0]].numpy(), state


def build_labeller(network: Network, units: Mapping[str, Tokenizer], threshold: float | None = None) -> Labeller:
    """The labeller of a model for video: its first head, and the rules of its config, `events`.

    Args:
        network: as it was loaded.
        units: name -> tokenizer.
        threshold: see `EventRules.at`.

    Raises:
        CheckpointError: rules that make no sense. UsageError: a threshold that makes none.
    """
    name, part = next(iter(network.config.heads.items()))
    tokenizer, head = units[part.units], network.heads[name]
    kind = {FramewiseConfig: "dense", PooledConfig: "clip"}.get(type(part), "sequence")
    labels = () if kind == "sequence" else ("", *tokenizer.tokens[1:])
    rules = network.config.events or EventRules(kind)
    rules.check_labels(labels)
    if (rules.kind == "sequence") != (kind == "sequence"):
        raise CheckpointError(f"the model's config is damaged: its head makes no events of the kind {rules.kind!r}")
    if threshold is not None:
        rules = rules.at(threshold)
    if rules.kind == "sequence":
        search: EventSearch[Any] = build_word_search(part, head, tokenizer, rules)
    else:
        search = build_event_search(labels, rules)
    frontend = network.config.frontend
    video, samples, rate = frontend, 0, 0
    if isinstance(frontend, AudioVisualConfig):
        video, samples, rate = frontend.video, frontend.samples, frontend.audio.rate
    size = (video.height, video.width, video.channels)
    return Labeller(Serial(network.frontend, network.encoder, head), search, rules, labels, size, samples, rate)


class LabelStream:
    """One client: push frames, get events as they become certain.

    Frames are worked off in blocks of one size, however they come, so that results do not depend on that.

    Args:
        labeller: what to run.
        fps: frames per second, for the times of frames that come without.
        block: frames to work on at a time; rounded up to what the network needs. 1 for the least latency.

    Attributes:
        frames: how many have been worked off.
    """

    def __init__(self, labeller: Labeller, fps: Fraction | float = USUAL_FPS, block: int = 1):
        self.labeller = labeller
        self.fps = Fraction(fps).limit_denominator(100_000)
        if self.fps <= 0:
            raise UsageError(f"the frames per second must be more than 0, got {fps}")
        self.block = -(-block // labeller.network.block) * labeller.network.block
        self.frames = 0
        self._received = 0
        self._waiting: list[NDArray[Any]] = []
        self._network = labeller.init_state()
        self._search = labeller.search.init()
        self._searched = 0
        self._clock: dict[int, tuple[float, int]] = {}  # step -> its time and its frame
        self._untimed: list[Found] = []
        self._finished = False
        self._inputs = labeller.size[0] * labeller.size[1] * labeller.size[2] + labeller.samples
        # For those who want to have the whole.
        self.timed: list[Event] | None = None
        self.scores: list[NDArray[np.float32]] | None = None

    @property
    def latency(self) -> int:
        """Frames that must have come before the first one is judged, besides itself: look-ahead and block.

        An event is certain as soon as it is over and the frame after it is judged, where its rules for merging,
        minimum gaps and windows do not make it wait for later ones.
        """
        return self.labeller.tail + self.block - 1

    @property
    def latency_seconds(self) -> float:
        return float(self.latency / self.fps)

    def push(self, frames: Any, times: Iterable[float] | None = None) -> list[Event]:
        """More frames; what is certain by them.

        Args:
            frames: RGB, uint8 (H, W, 3) for one, (T, H, W, 3) or a list for several, of any size.
            times: when each is shown, in seconds, increasing; by the frame rate if not given.

        Raises:
            UsageError: frames of another type or shape, fewer times than frames, or after `finish`.
        """
        if self.labeller.samples:
            raise UsageError("this model needs the sound with the frames: give it a file, with label or label_stream")
        several = isinstance(frames, list | tuple) or getattr(frames, "ndim", 0) == 4
        height, width, channels = self.labeller.size
        steps = [
            pixels(resize(check_picture(picture, "a frame"), (height, width)), channels)
            for picture in (frames if several else [frames])
        ]
        first = self._received
        numbers = list(range(first, first + len(steps)))
        shown = [float(number / self.fps) for number in numbers] if times is None else [float(time) for time in times]
        if len(shown) != len(steps):
            raise UsageError(f"{len(steps)} frames need as many times, got {len(shown)}")
        # A copy, because the caller may use its buffer again.
        inputs = np.stack(steps) if steps else np.zeros((0, self._inputs), np.uint8)
        return self.push_block(FrameBlock(inputs, shown, numbers))

    def push_block(self, block: FrameBlock) -> list[Event]:
        """Steps that are ready for the network."""
        if self._finished:
            raise UsageError("the stream is finished; open a new one for more frames")
        for stamp in zip(block.times, block.frames, strict=True):
            self._clock[self._received] = stamp
            self._received += 1
        if len(block.inputs):
            self._waiting.append(block.inputs)
        events = []
        while sum(map(len, self._waiting)) >= self.block:
            waiting = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
            self._waiting = [waiting[self.block :]] if len(waiting) > self.block else []
            events += self._work(waiting[: self.block], self.block)
        return events

    def finish(self) -> list[Event]:
        """The end of the video: the rest of the events. Nothing can be pushed after it."""
        if self._finished:
            raise UsageError("the stream is finished; open a new one for more frames")
        self._finished = True
        if not self._received:
            return []
        dtype = np.float32 if self.labeller.samples else np.uint8
        rest = np.concatenate([np.zeros((0, self._inputs), dtype), *self._waiting])
        unit = self.labeller.network.block
        events = []
        if steps := -(-(len(rest) + self.labeller.tail) // unit) * unit:
            events = self._work(rest, steps)
        last, frame = self._clock[self._received - 1]
        self._clock[self._received] = (last + self._step, frame + 1)
        self._untimed += self.labeller.search.finish(self._search)
        return events + self._time()

    @property
    def _step(self) -> float:
        """Seconds from one step to the next, where the frames do not tell."""
        return self.labeller.samples / self.labeller.rate if self.labeller.samples else float(1 / self.fps)

    @property
    def end(self) -> tuple[float, int]:
        """The time at which the last frame ends that was judged so far, and how many of them there are."""
        if self._searched in self._clock:
            return self._clock[self._searched]
        if not self._searched:
            return 0.0, 0
        last, frame = self._clock[self._searched - 1]
        return last + self._step, frame + 1

    def _work(self, inputs: NDArray[Any], steps: int) -> list[Event]:
        outputs, self._network = self.labeller.encode(inputs, steps, self._network)
        self.frames += len(inputs)
        self._searched += len(outputs)
        if self.scores is not None:
            self.scores.append(np.exp(outputs))
        self._search, found = self.labeller.search.step(self._search, outputs)
        self._untimed += found
        events = self._time()
        needed = self.labeller.search.needed(self._search)
        needed |= {step for found in self._untimed for step in (found.start, found.start + 1, found.end, found.end + 1)}
        for step in [step for step in self._clock if step < self._searched - 1 and step not in needed]:
            del self._clock[step]
        return events

    def _time(self) -> list[Event]:
        """The events that are found and whose times are known, in the order in which they were found."""
        events = []
        transitions = self.labeller.rules.kind == "transitions"
        while self._untimed:
            label, start, end, score = self._untimed[0]
            last = end if transitions else end + 1
            if last not in self._clock:
                break  # it ends with the newest frame, and only the next one tells how long that is
            del self._untimed[0]
            begin, start_frame = self._clock[start]
            change = self._clock[start + 1][0] if transitions else None
            event = Event(label, begin, self._clock[last][0], start_frame, self._clock[end][1], min(1.0, score), change)
            if self.timed is not None:
                self.timed.append(event)
            if self.labeller.rules.kind != "clip":
                events.append(event)
        return events
