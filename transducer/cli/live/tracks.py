"""One medium of a live source on its way through one model, and how it is doing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from transducer.cli.options import TextStages
from transducer.formats.events.tables import LISTED_SCENES
from transducer.media.audio.level import nothing_heard
from transducer.media.io.reader import MAX_WARNINGS
from transducer.media.live.capture import Capture, Ended, Gap, Item, Told
from transducer.media.medium import Block
from transducer.results import Scene, Segment

PEEK = 0.1  # seconds between two partials; quiet sound is raised in blocks of this length


class Session(Protocol):
    """A `LiveSession`, or one that a server works on."""

    warnings: list[str]

    @property
    def kind(self) -> str: ...
    @property
    def events_kind(self) -> str: ...
    @property
    def position(self) -> float: ...
    def push(self, block: Block) -> list[Any]: ...
    def peek(self, interval: float) -> list[Any]: ...
    def poll(self) -> list[Any]: ...
    def skip(self, start: float) -> list[Any]: ...
    def flush(self) -> list[Any]: ...
    def finish(self) -> list[Any]: ...
    def result(self) -> Any: ...


class Track:
    """Takes what a capture has read.

    Args:
        session: the model at work.
        capture: the source.
        stop: lets the source end, wherever it waits.
        stages: what is done to words before they are shown.
        tell: takes a line for the user.
        partials: whether they are wanted.
        keep: whether the results are wanted in the end.
        live: whether the source goes on while nobody reads it.

    Attributes:
        failure: why the source ended, unless it was at its end.
        ended: whether it has.
        heard: whether there were any words.
    """

    def __init__(
        self,
        session: Session,
        capture: Capture,
        stop: Callable[[], None],
        stages: TextStages,
        tell: Callable[[str], None],
        partials: bool,
        keep: bool,
        live: bool = True,
    ) -> None:
        self.session, self.capture, self._stop, self._tell = session, capture, stop, tell
        self.failure: BaseException | None = None
        self.ended, self.heard, self.live = False, False, live
        self.finals: list[Segment] = []
        self._partials, self._keep = partials, keep
        self._raw: deque[Segment] = deque()
        self._readable = stages(self._take_segments())

    def stop(self) -> None:
        """Let the source end soon; what has come by then is worked on."""
        self._stop()
        self.capture.stop()

    def take(self, item: Item) -> list[Any]:
        """What is new because of an item."""
        if isinstance(item, Block):
            found = self.session.push(item)
            # What waits is worked on first: early partials are for whoever keeps up.
            if self._partials and not self.capture.lag:
                found += self.session.peek(PEEK)
        elif isinstance(item, Gap):
            found = self.session.skip(item.start)
        elif isinstance(item, Told):
            if len(self.session.warnings) < MAX_WARNINGS:
                self.session.warnings.append(item.message)
            self._tell(item.message)
            return []
        else:
            assert isinstance(item, Ended)
            self.failure, self.ended = item.failure, True
            found = self.session.finish()
        return self._shown(found)

    def poll(self) -> list[Any]:
        """What has come from elsewhere."""
        return self._shown(self.session.poll())

    def flush(self) -> list[Any]:
        """Everything so far, final now."""
        return [] if self.ended else self._shown(self.session.flush())

    def _shown(self, found: list[Any]) -> list[Any]:
        shown: list[Any] = []
        for result in found:
            if isinstance(result, Scene):
                if self.session.events_kind in LISTED_SCENES:
                    shown.append(result)
            elif isinstance(result, Segment):
                self.heard = self.heard or bool(result.words)
                if result.final or self._partials:
                    self._raw.append(result)
                    segment = next(self._readable)
                    if segment.final and self._keep:
                        self.finals.append(segment)
                    shown.append(segment)
            else:
                shown.append(result)
        return shown

    def _take_segments(self) -> Iterator[Segment]:
        while True:
            yield self._raw.popleft()


class Health:
    """How the tracks of one source are doing, for whoever shows it; see `transducer.cli.live.views.Status`."""

    def __init__(self, tracks: Sequence[Track] = (), level: Any = None, camera: Any = None) -> None:
        self.tracks = tracks
        self._level, self._camera = level, camera

    @property
    def position(self) -> float:
        return max((track.session.position for track in self.tracks), default=0.0)

    @property
    def lag(self) -> float:
        return max((track.capture.lag for track in self.tracks), default=0.0)

    @property
    def lag_matters(self) -> bool:
        """Whether a source goes on while it waits; a pipe or a file does not."""
        return any(track.live for track in self.tracks)

    @property
    def dropped(self) -> int:
        """Frames."""
        return sum(track.capture.frames_dropped for track in self.tracks)

    @property
    def peak(self) -> float | None:
        return None if self._level is None else float(self._level.peak)

    @property
    def nothing_heard(self) -> str:
        """What to tell at the end where sound came and no words; "" where there is nothing to tell."""
        track = next((track for track in self.tracks if track.session.kind == "words"), None)
        if track is None or track.heard or self._level is None or self._level.loudest is None:
            return ""
        told = nothing_heard(self._level.loudest)
        # A source with several sounds has said it, and which others there are.
        return "" if any("is silent" in warning for warning in track.session.warnings) else told

    @property
    def picture(self) -> Any:
        return None if self._camera is None else self._camera.thumbnail
