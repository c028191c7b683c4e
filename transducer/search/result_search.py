"""What every search for results can do: words and events alike, for many clients, on the clock of their source.

A search counts output steps of its head and knows no seconds but nominal ones. When an output step begins, and which
frame is shown then, is what the source's clock tells.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar

from transducer.search.builder import Builder

State = TypeVar("State")
Item = TypeVar("Item")


class Clock(Protocol):
    """The times of the output steps of one client.

    Output step n begins with the first of the input steps that it stands for. A source that has ended after N output
    steps, the last of which may be shorter than the others, knows step N, too: its time is that at which the source
    ends, its frame the number of frames that there were.

    Attributes:
        final: the last output step of a stream that has ended; None before that.
        steady: the steps follow each other at the nominal rate from 0 seconds on, so that nominal seconds are right.
    """

    @property
    def steady(self) -> bool: ...
    @property
    def final(self) -> int | None: ...

    def knows(self, step: int) -> bool:
        """Whether the time of an output step is known; True of all up to the newest that are still needed."""
        ...

    def seconds(self, step: float) -> float:
        """When an output step begins. Fractions lie between two steps, both of which must be known."""
        ...

    def frame(self, step: int) -> int:
        """The number of the frame that is shown when an output step begins."""
        ...

    def shown(self, step: int) -> tuple[float, int]:
        """The frame that is shown when an output step begins: when it was first shown, and its number."""
        ...

    def shown_last(self, step: int) -> tuple[float, int]:
        """The same of the last frame that is shown in an output step."""
        ...

    def before(self, step: int) -> tuple[float, int]:
        """The same of the frame before the one that is shown when an output step begins; the first one has none."""
        ...

    def after(self, step: int) -> tuple[float, int] | None:
        """The same of the first frame that begins after an output step; None if it has not come."""
        ...


class ResultSearch(Protocol[State, Item]):
    """From the outputs of a head to results. State is explicit: one value a client, never changed in place.

    Attributes:
        kind: "words" or "events", or what a head of another kind calls its results.
    """

    kind: str

    def init(self) -> State:
        """State before the first output."""
        ...

    def step(self, states: Sequence[State], outputs: Sequence[Any]) -> list[tuple[State, list[Item]]]:
        """More outputs of many clients, (T_i, V) each -> for each the new state, and what is new because of them.

        Pure. What a client gets depends neither on how its outputs are cut into steps nor on who else is there.
        """
        ...

    def flush(self, state: State) -> tuple[State, list[Item]]:
        """Everything up to here, final now. The stream may go on; then nothing comes twice."""
        ...

    def idle(self, state: State) -> int:
        """Output steps in which nothing was heard; 0 while something goes on, or where silence means nothing."""
        ...

    def needed(self, state: State) -> Collection[int]:
        """The output steps, beside the newest two, whose times a result to come may need."""
        ...

    def times_of(self, item: Item) -> Collection[int]:
        """The output steps whose times `result` needs for an item: they are kept as long as it is None."""
        ...

    def result(self, item: Item, clock: Clock) -> Any:
        """An item with the times of the clock; None as long as one of them is not known."""
        ...

    def builder(self, keep: bool, scores: bool) -> Builder[Any, Any]:
        """What makes a whole of the results of one source.

        Args:
            keep: whether the whole is wanted.
            scores: whether the outputs belong to it.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """What people ask about the results."""
        ...
