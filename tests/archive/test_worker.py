"""A worker's loop: how many clips it has at a time."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from transducer.archive import worker


class Channel:
    """Has so many tasks for who asks, and is closed then."""

    def __init__(self, tasks: int):
        self.tasks = deque(range(tasks))
        self.waiting: deque[tuple[Any, ...]] = deque()
        self.finished: list[Any] = []

    def send(self, message: tuple[Any, ...]) -> None:
        if message[0] == "ask":
            self.waiting.append(("task", self.tasks[0], self.tasks.popleft(), False) if self.tasks else ("wait",))
        elif message[0] == "finished":
            self.finished.append(message[1])

    def poll(self) -> bool:
        return bool(self.waiting)

    def recv(self) -> tuple[Any, ...]:
        if not self.waiting:
            raise EOFError
        return self.waiting.popleft()


class Clips:
    """All that are there end with the next step."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.together: list[int] = []

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def full(self) -> bool:
        return len(self.keys) == worker.CLIPS

    def add(self, key: int, reader: Any) -> None:
        self.keys.append(key)

    def step(self) -> list[Any]:
        done, self.keys = self.keys, []
        self.together.append(len(done))
        return [SimpleNamespace(key=key) for key in done]


def test_the_first_result_waits_for_no_other_clip() -> None:
    channel, clips = Channel(60), Clips()
    reader = SimpleNamespace(duration=1.0, start=0.0)
    work: Any = SimpleNamespace(clips=clips, open=lambda task: reader, finish=lambda task, clip, seconds: task)
    with pytest.raises(EOFError):
        worker.serve(channel, work)  # type: ignore[arg-type]
    assert channel.finished == list(range(60))
    assert clips.together[:6] == [1, 2, 4, 8, worker.CLIPS, worker.CLIPS]
