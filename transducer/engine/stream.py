"""The chunked streaming decoder: samples in, segments out. `Stream` serves one client, `StreamBatch` many.

Packets of any size are cut into blocks of one size, here and nowhere else, so that results do not depend on how
the sound came. The end of the sound is followed by steps that do not exist until the look-ahead is filled.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transducer.errors import UsageError
from transducer.media.audio.medium import check_samples
from transducer.model.sequence import Serial, State
from transducer.results import Segment
from transducer.search.segments import SegmentSearch

Results = dict[Hashable, list[Segment]]


class Decoder:
    """What `Stream` and `StreamBatch` run: a network as one stage from samples to a head's output, and a search.

    Args:
        network: samples (B, T, 1) -> log-probabilities or projected frames (B, T / stride, V).
        segment_search: from those to segments.
        rate: samples per second.
        block: samples to decode at a time, a multiple of the network's block; None for that.

    Attributes:
        tail: samples that have to follow the last one for its outputs to come out: the network's look-ahead.
    """

    def __init__(self, network: Serial, segment_search: SegmentSearch, rate: int, block: int | None = None):
        self.network, self.segment_search, self.rate = network, segment_search, rate
        self.block = block or network.block
        if self.block % network.block:
            raise ValueError(f"this network works on {network.block} samples at a time, and {block} is no multiple")
        self.tail = network.latency * network.stride

    @property
    def latency(self) -> float:
        """Algorithmic latency in seconds: how much sound is heard before the first of it is decoded, at most."""
        return (self.block + self.tail) / self.rate

    def init_state(self, batch: int) -> State:
        return self.network.init_state(batch, torch.zeros(()))

    @torch.inference_mode()
    def encode(self, parts: list[np.ndarray], state: State) -> tuple[list[np.ndarray], State]:
        """One network step: for each row at most a block of samples -> the outputs (T, V) that exist, and the state."""
        samples = np.zeros((len(parts), self.block, 1), np.float32)
        for row, part in enumerate(parts):
            samples[row, : len(part), 0] = part
        lengths = np.array([len(part) for part in parts])
        mask = torch.from_numpy(np.arange(self.block) < lengths[:, None])
        outputs, exists, state = self.network.step(torch.from_numpy(samples), mask, state)
        return [row[there] for row, there in zip(outputs.numpy(), exists.numpy(), strict=True)], state


@dataclass
class SampleQueue:
    """Samples in the order in which they came."""

    parts: list[np.ndarray] = field(default_factory=list)
    size: int = 0

    def __len__(self) -> int:
        return self.size

    def push(self, samples: np.ndarray) -> None:
        if len(samples):
            self.parts.append(samples.copy())  # the caller may use its buffer again
            self.size += len(samples)

    def peek(self) -> np.ndarray:
        """All of them, (N,)."""
        if len(self.parts) != 1:
            self.parts = [np.concatenate([np.zeros(0, np.float32), *self.parts])]
        return self.parts[0]

    def pop(self, count: int) -> np.ndarray:
        """The oldest `count`, or as many as there are."""
        samples = self.peek()
        self.parts = [samples[count:]]
        self.size = len(self.parts[0])
        return samples[:count]


@dataclass
class Client:
    """One stream on its way through a decoder.

    Attributes:
        slot: its row in the batch.
        segments: state of the segment search.
        waiting: samples that have not been encoded; less than a block of them, once `step` has been called.
        encoded: outputs that have come out of the network.
        searched: outputs that have been searched; more of them than encoded ones after a flush, which looks ahead.
        ended: no more sound will come.
        owed: samples after the end that the look-ahead still waits for.
    """

    slot: int
    segments: Any
    waiting: SampleQueue
    encoded: int = 0
    searched: int = 0
    ended: bool = False
    owed: int = 0


class StreamBatch:
    """Many clients in one network step, each getting what it would get alone.

    Clients join and leave at any time, and every one ends on its own. The network always runs over all `capacity`
    rows, so that even the rounding stays the same whoever else is there; `step` when most clients are ready.

    Args:
        decoder: shared by all.
        capacity: clients at a time, at most.
    """

    def __init__(self, decoder: Decoder, capacity: int):
        if capacity < 1:
            raise UsageError(f"a batch needs room for at least one stream, got {capacity}")
        self.decoder, self.capacity = decoder, capacity
        self._fresh = decoder.init_state(1)
        self._state = decoder.init_state(capacity)
        self._clients: dict[Hashable, Client] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, name: object) -> bool:
        return name in self._clients

    def join(self, name: Hashable) -> None:
        """A new client. Raises UsageError where the name is taken or the batch is full."""
        if name in self._clients:
            raise UsageError(f"a stream named {name!r} is already there")
        free = set(range(self.capacity)) - {client.slot for client in self._clients.values()}
        if not free:
            raise UsageError(f"the batch is full: it has room for {self.capacity} streams")
        client = Client(min(free), self.decoder.segment_search.init(), SampleQueue())
        self._state = _choose(torch.arange(self.capacity) == client.slot, self._fresh, self._state)
        self._clients[name] = client

    def leave(self, name: Hashable) -> None:
        """Forget a client, whatever it still has."""
        self._client(name)
        del self._clients[name]

    def push(self, name: Hashable, samples: np.ndarray) -> None:
        """Sound of a client, float32 (N,) at the model's rate, of any length; `step` works it off.

        Raises:
            UsageError: not float32, not one-dimensional, not finite, or the client has ended or is not there.
        """
        client = self._client(name)
        if client.ended:
            raise UsageError(f"stream {name!r} has ended: no more sound can come")
        client.waiting.push(check_samples(samples))

    def end(self, name: Hashable) -> None:
        """No more sound will come: the next steps give what is left, and with the last of it the client leaves."""
        client = self._client(name)
        if not client.ended:
            client.ended, client.owed = True, self.decoder.tail

    @property
    def ready(self) -> list[Hashable]:
        """The clients that the next `step` serves: those with a block of sound, and those that have ended."""
        block = self.decoder.block
        return [name for name, client in self._clients.items() if client.ended or len(client.waiting) >= block]

    def step(self) -> Results:
        """At most one block of every client that is ready; what is new because of it, for those that have any."""
        clients = {name: self._clients[name] for name in self.ready}
        parts = {
            client.slot: client.waiting.pop(self.decoder.block)
            for client in clients.values()
            if len(client.waiting) or client.owed > 0
        }
        outputs: dict[int, np.ndarray] = {}
        if parts:
            outputs, state = self._encode(parts, self._state)
            idle = [client.slot for client in self._clients.values() if client.slot not in parts]
            self._state = _choose(_rows(idle, self.capacity), self._state, state) if idle else state
        found = self._search(
            {name: (client, outputs[client.slot]) for name, client in clients.items() if client.slot in parts}
        )
        for name, client in clients.items():
            if client.slot in parts:
                client.owed -= self.decoder.block - len(parts[client.slot])
                client.encoded += len(outputs[client.slot])
            if client.ended and not len(client.waiting) and client.owed <= 0:
                found[name] = found.get(name, []) + self._close(client)
                del self._clients[name]
        return {name: segments for name, segments in found.items() if segments}

    def flush(self, name: Hashable) -> list[Segment]:
        """Everything that a client has sent, decoded and final now; it may go on sending after that.

        What has not filled a block yet is decoded on a copy of the network's state, with nothing after it. Then
        the stream goes on as if nothing had happened, only that outputs which have been searched are not searched
        again. So no sound is lost to the network, and times go on.
        """
        client, results, block = self._client(name), [], self.decoder.block
        rest = client.waiting.peek()
        position, encoded, state = 0, client.encoded, self._state
        while position < len(rest) + (client.owed if client.ended else self.decoder.tail):
            outputs, state = self._encode({client.slot: rest[position : position + block]}, state)
            results += self._search({name: (client, outputs[client.slot])}, encoded)[name]
            encoded += len(outputs[client.slot])
            position += block
        return results + self._close(client)

    def finish(self, name: Hashable) -> list[Segment]:
        """The rest of a client's results; then it has left."""
        results = self.flush(name)
        self.leave(name)
        return results

    def _encode(self, parts: Mapping[int, np.ndarray], state: State) -> tuple[dict[int, np.ndarray], State]:
        """Samples by slot -> outputs by slot, and the new state of all slots; nothing else is changed."""
        nothing = np.zeros(0, np.float32)
        rows = [parts.get(slot, nothing) for slot in range(self.capacity)]
        outputs, state = self.decoder.encode(rows, state)
        return {slot: outputs[slot] for slot in parts}, state

    def _search(self, clients: Mapping[Hashable, tuple[Client, np.ndarray]], first: int | None = None) -> Results:
        """Search those outputs of clients that have not been searched; the first of them is number `first` of the
        stream, or the next that a client expects."""
        new = [
            outputs[max(0, client.searched - (client.encoded if first is None else first)) :]
            for client, outputs in clients.values()
        ]
        states = [client.segments for client, _ in clients.values()]
        results: Results = {}
        stepped = self.decoder.segment_search.step(states, new)
        for (name, (client, _)), part, (state, found) in zip(clients.items(), new, stepped, strict=True):
            client.searched += len(part)
            client.segments, results[name] = state, found
        return results

    def _close(self, client: Client) -> list[Segment]:
        client.segments, results = self.decoder.segment_search.flush(client.segments)
        return results

    def _client(self, name: Hashable) -> Client:
        try:
            return self._clients[name]
        except KeyError:
            raise UsageError(f"there is no stream named {name!r}") from None


class Stream:
    """One client: push samples, get segments.

    Partial segments replace each other; their `stable` words stay. See `transducer.results.Segment`.
    """

    def __init__(self, decoder: Decoder):
        self.decoder = decoder
        self._batch = StreamBatch(decoder, 1)
        self._batch.join(self)

    @property
    def latency(self) -> float:
        """Algorithmic latency in seconds."""
        return self.decoder.latency

    def push(self, samples: np.ndarray) -> list[Segment]:
        """Sound, float32 (N,) at the model's rate, any N; what is new because of it.

        Raises:
            UsageError: not float32, not one-dimensional, not finite, or after `finish`.
        """
        self._check_open()
        self._batch.push(self, samples)
        return self._work_off()

    def flush(self) -> list[Segment]:
        """Everything said so far, final now, without waiting for silence. The stream may go on."""
        self._check_open()
        return self._batch.flush(self)

    def finish(self) -> list[Segment]:
        """The end of the sound: the rest, final. Nothing can be pushed after it."""
        self._check_open()
        return self._batch.finish(self)

    def _work_off(self) -> list[Segment]:
        results: list[Segment] = []
        while self._batch.ready:
            results += self._batch.step().get(self, [])
        return results

    def _check_open(self) -> None:
        if self not in self._batch:
            raise UsageError("the stream is finished; open a new one for more sound")


def _rows(rows: list[int], count: int) -> Tensor:
    """(count,) bool: True for these rows."""
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[rows] = True
    return chosen


def _choose(rows: Tensor, new: State, old: State) -> State:
    """Where `rows` is True the row of `new` (which may have one row for all), elsewhere that of `old`."""
    if isinstance(old, Tensor):
        return torch.where(rows.view(-1, *[1] * (old.ndim - 1)), new, old)
    parts = [_choose(rows, a, b) for a, b in zip(new, old, strict=True)]
    return type(old)(*parts) if hasattr(old, "_fields") else tuple(parts)
