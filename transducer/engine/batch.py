"""Many clients in one step of the network, whatever they send and whatever is made of it.

Packets of any size are cut into blocks of one size, here and nowhere else, so that results do not depend on how the
media came. The end of a stream is followed by steps that do not exist until the look-ahead is filled.

Where the network needs the whole source (see `Engine`), what its first stages put out is gathered for each client, and
the rest runs once, when the client ends. All of its results come then.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.engine.client import Client, Listener, StreamState, check_rate, check_times
from transducer.engine.clock import FrameClock, SteadyClock
from transducer.engine.engine import Engine
from transducer.errors import UsageError, is_number, require
from transducer.media.medium import Block
from transducer.model.state import State, choose, fits, put, select

Results = dict[Hashable, list[Any]]
LONGEST_HOLD = 10.0  # seconds for which a frame is held; a model that has seen it for so long sees nothing else


class StreamBatch:
    """Many clients in one network step, each getting what it would get alone.

    Clients join and leave at any time, and every one ends on its own. The network always runs over all `capacity`
    rows, so that even the rounding stays the same whoever else is there; `step` when most clients are ready.

    Args:
        engine: shared by all.
        capacity: clients at a time, at most.
        block: steps to work on at a time, rounded up to what the network needs; the engine's own if None.
        compact: run over the rows that are ready alone, which costs less where few are. How many that are changes the
            rounding, and only that.

    Raises:
        UsageError: no room for a single stream, or a block that is no positive number.
    """

    def __init__(self, engine: Engine, capacity: int, block: int | None = None, compact: bool = False):
        require(engine, Engine, "a stream needs an engine: `engine` of a model gives one")
        if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
            raise UsageError(f"a batch needs room for at least one stream, got {capacity!r}")
        if block is not None and (not isinstance(block, int) or isinstance(block, bool) or block < 1):
            raise UsageError(f"a block must be at least one step, got {block!r}")
        unit = engine.network.block
        self.engine, self.capacity = engine, capacity
        self.block = engine.block if block is None else -(-block // unit) * unit
        self._fresh = engine.init_state(1)
        self._state = engine.init_state(capacity)
        self._compact = compact
        self._clients: dict[Hashable, Client] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, name: object) -> bool:
        return name in self._clients

    def join(
        self,
        name: Hashable,
        state: StreamState | None = None,
        rate: Fraction | float | None = None,
        listener: Listener | None = None,
        start: float = 0.0,
    ) -> None:
        """A new client, or one that goes on from where `state` left it.

        Args:
            rate: frames per second of frames that come without times; the medium's usual rate if None.
            listener: see `Client`.
            start: second of the source at which the first sample is heard.

        Raises:
            UsageError: the name is taken, the batch is full, or the rate is no positive number or not to be chosen.
        """
        if not is_number(start):
            raise UsageError(f"a stream starts at a number of seconds, got {start!r:.80}")
        require(name, Hashable, "a stream's name must be one that a dict takes")
        if name in self._clients:
            raise UsageError(f"a stream named {name!r} is already there")
        if state is not None:
            require(state, StreamState, "the state of a stream is what its `state` was")
            if state.waiting.shape[1:] != (self.engine.medium.channels,) or not fits(state.network, self._fresh):
                raise UsageError("the state is that of a stream of another model, or with another search")
        free = set(range(self.capacity)) - {client.slot for client in self._clients.values()}
        if not free:
            raise UsageError(f"the batch is full: it has room for {self.capacity} streams")
        slot = min(free)
        client = Client.new(slot, self.engine, start) if state is None else Client.of(slot, self.engine, state)
        if rate is not None:
            client.rate = check_rate(rate, self.engine.medium)
        client.listener = listener
        network = self._fresh if state is None else state.network
        self._state = choose(self._rows([client.slot]), network, self._state)
        self._clients[name] = client

    def state(self, name: Hashable) -> StreamState:
        """All that a client is now. What it gets later does not change it."""
        client = self._client(name)
        return client.state(select(self._state, [client.slot]))

    def judged(self, name: Hashable, whole: bool = False) -> tuple[float, int]:
        """The time up to which a client's media has been judged, and how many frames (or outputs) that are.

        Args:
            whole: what it will be when all that has come is worked off; for steps on a steady clock.
        """
        client = self._client(name)
        if isinstance(client.clock, FrameClock):
            return client.clock.end(client.searched, float(1 / client.rate))
        outputs = -(-client.received // self.engine.stride)
        outputs = outputs if whole else min(client.searched, outputs)
        return min(client.clock.seconds(outputs), self.position(name)), outputs

    def position(self, name: Hashable) -> float:
        """Seconds of a client's media that have come: where its last sample ends, or its last frame begins."""
        client = self._client(name)
        if isinstance(client.clock, SteadyClock):
            return client.clock.start + float(client.received / client.rate)
        return max(client.last_time, 0.0)

    def waiting(self, name: Hashable) -> int:
        """How many steps of a client's media have not been worked on."""
        return len(self._client(name).waiting)

    def set_rate(self, name: Hashable, rate: Fraction | float) -> None:
        """Frames per second of a client, known better by now."""
        self._client(name).rate = check_rate(rate, self.engine.medium)

    def leave(self, name: Hashable) -> None:
        """Forget a client, whatever it still has."""
        self._client(name)
        del self._clients[name]

    def push(self, name: Hashable, steps: Any, times: Iterable[float] | None = None) -> None:
        """More of a client's media, of any length; `step` works it off.

        Args:
            steps: what the medium takes, such as float32 (N,) samples at the model's rate, or uint8 (H, W, 3) frames.
            times: of frames: when each is shown, in seconds, increasing; by the frame rate if not given.

        Raises:
            UsageError: not what the medium takes, or the client has ended or is not there.
        """
        client, medium = self._client(name), self.engine.medium
        inputs = medium.check(steps)
        if medium.steady and times is not None:
            raise UsageError(f"{medium.name} have no times of their own: leave out times")
        first = client.received
        given = None
        if not medium.steady:
            numbers = range(first, first + len(inputs))
            shown = [float(number / client.rate) for number in numbers] if times is None else times
            given = check_times(shown, len(inputs), client.last_time)
        self.push_block(name, Block(inputs, given, list(range(first, first + len(inputs)))))

    def push_block(self, name: Hashable, block: Block) -> None:
        """Steps that are ready for the network, as a medium reads them from a source."""
        require(block, Block, "push_block takes a Block: push takes samples and frames")
        client = self._client(name)
        if client.ended:
            raise UsageError(f"stream {name!r} has ended: nothing more can come")
        if (longest := self.engine.longest) is not None and client.received + len(block.inputs) > longest:
            raise UsageError(
                f"this model does not stream: it judges a source as a whole, and that may have at most {longest} "
                f"{self.engine.medium.name} ({float(longest / client.rate):g} s); cut it into parts"
            )
        if isinstance(client.clock, FrameClock):
            for part in self._paced(client, block):
                client.clock.add(part.times or (), part.frames or ())
                client.waiting.push(part.inputs)
        else:
            client.waiting.push(block.inputs)
        client.received += len(block.inputs)

    def end(self, name: Hashable) -> None:
        """Nothing more will come: the next steps give what is left, and with the last of it the client leaves."""
        client = self._client(name)
        if not client.ended:
            client.ended, client.owed = True, self._prepare_end(client)

    @property
    def ready(self) -> list[Hashable]:
        """The clients that the next `step` serves: those with a block of steps, and those that have ended."""
        return [name for name, client in self._clients.items() if client.ended or len(client.waiting) >= self.block]

    def step(self, served: Iterable[Hashable] | None = None) -> Results:
        """At most one block of every client that is ready; what is new because of it, for those that have any.

        Args:
            served: those that may be served, as far as they are ready; None for all.
        """
        chosen = None if served is None else set(served)
        clients = {name: self._clients[name] for name in self.ready if chosen is None or name in chosen}
        parts = {
            client.slot: client.waiting.pop(self.block)
            for client in clients.values()
            if len(client.waiting) or client.owed > 0
        }
        working = {name: client for name, client in clients.items() if client.slot in parts}
        for client in working.values():
            if self.engine.is_stale(client.search):
                self._state = choose(self._rows([client.slot]), self._renewed(client.block), self._state)
            client.block = parts[client.slot]
        outputs = self._encode(parts) if parts else {}
        results: Results = {}
        found = self._take(list(working.values()), [outputs[client.slot] for client in working.values()])
        for (name, client), items in zip(working.items(), found, strict=True):
            client.owed -= self.block - len(parts[client.slot])
            client.encoded += len(outputs[client.slot])
            results[name] = items
        for name, client in clients.items():
            if client.ended and not len(client.waiting) and client.owed <= 0:
                results[name] = results.get(name, []) + self._close(client, client.gathered)
                del self._clients[name]
        return {name: items for name, items in results.items() if items}

    def flush(self, name: Hashable) -> list[Any]:
        """Everything that a client has sent, decoded and final now; it may go on sending after that.

        What has not filled a block yet is decoded on a copy of the network's state, with nothing after it. Then
        the stream goes on as if nothing had happened, only that outputs which have been searched are not searched
        again. So nothing is lost to the network, and times go on. Only this client's row is computed.

        A network that needs the whole source takes what has come for the whole. What is judged by that stays so; what
        comes later is judged with all that came before it.
        """
        client, results, unit = self._client(name), [], self.engine.network.block
        gathered = list(client.gathered)
        owed, rest = client.owed, client.waiting.peek()
        if not client.ended:
            owed, rest = self.engine.tail, np.concatenate([rest, self._silence(client)])
        newest, position, encoded, state = client.block, 0, client.encoded, select(self._state, [client.slot])
        while (left := len(rest) + owed - position) > 0:
            steps = min(self.block, -(-left // unit) * unit)
            part = rest[position : position + steps]
            if self.engine.is_stale(client.search):
                state = self._renewed(newest)
            newest = part
            (outputs,), state = self.engine.encode([part], steps, state)
            if self.engine.streams:
                (found,) = self._search([client], [outputs], encoded)
                results += found
            else:
                gathered.append(outputs)
            encoded += len(outputs)
            position += steps
        return results + self._close(client, gathered)

    def peek(self, name: Hashable) -> list[Any]:
        """What a client's results would be if its media ended here, on a copy of its state: nothing changes.

        What has not filled a block yet is decoded with nothing after it, as by `flush`. That is sooner than the block
        and less certain: what comes next need not go on from it. Only this client's row is computed. Where all results
        come at the end, there are none yet.
        """
        client, unit = self._client(name), self.engine.network.block
        rest = client.waiting.peek()
        if not len(rest) or not self.engine.streams:
            return []
        state = select(self._state, [client.slot])
        if self.engine.is_stale(client.search):
            state = self._renewed(client.block)
        (outputs,), _ = self.engine.encode([rest], -(-len(rest) // unit) * unit, state)
        ((_, items),) = self.engine.search.step([client.search], [outputs[max(0, client.searched - client.encoded) :]])
        found = [self.engine.search.result(item, client.clock) for item in items]
        return [result for result in found if result is not None]

    def finish(self, name: Hashable) -> list[Any]:
        """The rest of a client's results; then it has left."""
        self.end(name)
        results = self.flush(name)
        self.leave(name)
        return results

    def _renewed(self, block: NDArray[Any] | None) -> State:
        """The network's state after the newest block alone, at whose end something may have begun."""
        return self._fresh if block is None else self.engine.encode([block], self.block, self._fresh)[1]

    def _prepare_end(self, client: Client) -> int:
        """Silence for a head that emits late; the steps after it that do not exist."""
        if isinstance(client.clock, FrameClock):
            self._hold(client, float(1 / client.rate))
            client.clock.close(float(1 / client.rate))
        else:
            client.clock.close(float(client.received / client.rate))
        client.waiting.push(self._silence(client))
        return self.engine.tail

    def _paced(self, client: Client, block: Block) -> Iterator[Block]:
        """The block in parts; before each, the newest frame is held for as long as it was shown.

        The steps of what a model knows follow each other at some rate. Where frames come more slowly, each of them is
        a step again and again, as soon as the next one tells for how long it was shown.
        """
        times, frames, fps = block.times or [], block.frames or [], self.engine.known_fps
        first = 0
        if fps is not None:
            newest = client.clock.newest if isinstance(client.clock, FrameClock) else None
            shown = np.diff(times, prepend=times[:1] if newest is None else newest[0])
            for place in np.flatnonzero(shown * fps >= 1.5).tolist():
                if place > first:
                    yield Block(block.inputs[first:place], times[first:place], frames[first:place])
                first = place
                self._hold(client, float(shown[place]))
        yield Block(block.inputs[first:], times[first:], frames[first:])

    def _hold(self, client: Client, seconds: float) -> None:
        """The newest frame was shown for so long."""
        if self.engine.known_fps is None or not isinstance(client.clock, FrameClock) or not client.clock.received:
            return
        steps = max(1, round(min(seconds, LONGEST_HOLD) * self.engine.known_fps)) - 1
        newest = client.waiting.newest
        if newest is None:
            assert client.block is not None
            newest = client.block[-1]
        client.waiting.hold(newest, steps)
        client.clock.hold(steps)

    def _silence(self, client: Client) -> NDArray[Any]:
        steps = self.engine.silence if client.received else 0
        return np.zeros((steps, self.engine.medium.channels), self.engine.medium.dtype)

    def _encode(self, parts: dict[int, NDArray[Any]]) -> dict[int, NDArray[np.float32]]:
        """The next step of the network, for rows that have a part; their outputs."""
        if self._compact:
            slots = sorted(parts)
            encoded, state = self.engine.encode([parts[slot] for slot in slots], self.block, select(self._state, slots))
            put(slots, state, self._state)  # which nobody else has: `choose` made it, or `init_state`
            return dict(zip(slots, encoded, strict=True))
        nothing = np.zeros((0, self.engine.medium.channels), self.engine.medium.dtype)
        encoded, state = self.engine.encode(
            [parts.get(slot, nothing) for slot in range(self.capacity)], self.block, self._state
        )
        idle = [client.slot for client in self._clients.values() if client.slot not in parts]
        self._state = choose(self._rows(idle), self._state, state) if idle else state
        return {slot: encoded[slot] for slot in parts}

    def _take(self, clients: Sequence[Client], outputs: Sequence[NDArray[np.float32]]) -> list[list[Any]]:
        """Search new outputs, or gather them until the end."""
        if self.engine.streams:
            return self._search(clients, outputs)
        for client, rows in zip(clients, outputs, strict=True):
            client.gathered.append(rows)
        return [[] for _ in clients]

    def _search(
        self, clients: Sequence[Client], outputs: Sequence[NDArray[np.float32]], first: int | None = None
    ) -> list[list[Any]]:
        """Search those outputs, the first of each number `first` of its stream, that have not been searched."""
        new = []
        for client, rows in zip(clients, outputs, strict=True):
            rows = rows[max(0, client.searched - (client.encoded if first is None else first)) :]
            client.searched += len(rows)
            if client.listener is not None:
                steps = range(client.searched - len(rows), client.searched)
                client.listener(rows, [client.clock.begins(step) for step in steps])
            new.append(rows)
        stepped = self.engine.search.step([client.search for client in clients], new)
        results = []
        for client, (state, items) in zip(clients, stepped, strict=True):
            client.search = state
            results.append(self._time(client, items))
            if isinstance(client.clock, FrameClock):
                needed = set(self.engine.search.needed(state))
                for item in client.pending:
                    needed.update(self.engine.search.times_of(item))
                client.clock.forget(client.searched, needed)
        return results

    def _time(self, client: Client, items: Sequence[Any], clock: SteadyClock | FrameClock | None = None) -> list[Any]:
        """The results whose times are known, in the order in which they were found."""
        client.pending += items
        results = []
        while client.pending:
            result = self.engine.search.result(client.pending[0], clock or client.clock)
            if result is None:
                break  # it ends with the newest step, and only the next one tells how long that is
            del client.pending[0]
            results.append(result)
        return results

    def _close(self, client: Client, gathered: Sequence[NDArray[np.float32]]) -> list[Any]:
        results = []
        if any(map(len, gathered)):
            (results,) = self._search([client], [self.engine.conclude(gathered)], 0)
        client.search, items = self.engine.search.flush(client.search)
        clock = client.clock
        if isinstance(clock, FrameClock) and clock.closing is None:
            # How long the newest frame is shown nobody knows yet: as long as any.
            clock = copy.deepcopy(clock)
            clock.close(float(1 / client.rate))
        return results + self._time(client, items, clock)

    def _rows(self, slots: list[int]) -> NDArray[np.bool_]:
        """(capacity,) bool: True for these rows."""
        chosen = np.zeros(self.capacity, np.bool_)
        chosen[slots] = True
        return chosen

    def _client(self, name: Hashable) -> Client:
        try:
            return self._clients[name]
        except (KeyError, TypeError):  # a list, for one, names nothing
            raise UsageError(f"there is no stream named {name!r:.80}") from None
