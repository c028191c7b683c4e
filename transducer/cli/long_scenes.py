"""`--min-scene`: shots of at least some length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from transducer.cli.sessions import certain_scenes, kind_of_events
from transducer.errors import UsageError
from transducer.results import Event, Labelling, Scene


class LongScenes:
    """A session of events without the transitions that come too soon after the one before, or after the first frame.

    The shots that such a transition parts are one, with its frames. What is left out depends on what is before it
    alone, so that events still come while the video is read; so the last shot may be shorter.

    Attributes:
        scenes: those that are certain so far.

    Args:
        session: of events.
        seconds: that a shot lasts at least.
    """

    def __init__(self, session: Any, seconds: float) -> None:
        self.scenes: list[Scene] = []
        self._session = session
        self._seconds = seconds
        self._kept: list[Event] = []
        self._open: list[Scene] = []  # shots that may become one
        self._seen = 0  # of the session's scenes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def __enter__(self) -> LongScenes:
        self._session.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._session.__exit__(*exception)

    def __iter__(self) -> Iterator[Event]:
        if kind_of_events(self._session) != "transitions":
            raise UsageError("--min-scene is for models of shots: this one labels something else")
        for event in self._session:
            self._take(certain_scenes(self._session))
            begin = self._open[0].start if self._open else event.start
            if event.start - begin >= self._seconds:
                self._close()
                self._kept.append(event)
                yield event
        self._take(certain_scenes(self._session))
        self._close()

    def result(self) -> Labelling:
        found: Labelling = self._session.result()
        rest = _as_one([*self._open, *found.segments[self._seen :]])
        return replace(found, events=tuple(self._kept), segments=(*self.scenes, *rest))

    def _take(self, scenes: list[Scene]) -> None:
        self._open += scenes[self._seen :]
        self._seen = len(scenes)

    def _close(self) -> None:
        self.scenes += _as_one(self._open)
        self._open = []


def _as_one(scenes: list[Scene]) -> list[Scene]:
    return [replace(scenes[0], end=scenes[-1].end, end_frame=scenes[-1].end_frame)] if scenes else []
