"""Words and scenes of the same video at once: a model for its sound and one for its pictures, side by side."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from transducer.errors import MediaError, TransducerError, UsageError
from transducer.media.io.fanout import FanOut
from transducer.media.io.sources import STANDARD_INPUT, is_media_source, is_pipe, open_source
from transducer.results import Annotation

PATIENCE = 3.0  # seconds that an interrupt waits for what is being decoded


def annotate(
    source: Any,
    speech: Any = "speech-en",
    scenes: Any = "shots",
    *,
    threshold: float | None = None,
    start: float | None = None,
    length: float | None = None,
    device: str = "cpu",
    **options: Any,
) -> Annotation:
    """What is said and what is seen in a video, in one go.

    Args:
        source: a path, an address, "-", or an open binary file.
        speech, scenes: names or folders of models, or models that are loaded already.
        threshold: see `Options`.
        start, length: of the part to annotate, in seconds.
        device: see `transducer.load`.
        options: of `Model.session`, for the words.

    Raises:
        UsageError: an option that makes no sense, or a model of the wrong kind.
        MediaError: the source has neither sound nor pictures, or breaks off.
    """
    from transducer.engine.model import Model, load

    first, second = (model if isinstance(model, Model) else load(model, device) for model in (speech, scenes))
    both = {name: value for name, value in (("start", start), ("length", length)) if value is not None}
    events = both if threshold is None else {**both, "threshold": threshold}
    with AnnotateSession(first, second, source, {**both, **options}, events) as session:
        session.run()
        result = session.result()
    if result is None:
        raise MediaError(f"{source}: has neither sound nor pictures")
    return result


def results_option(model: Any, kind: str) -> dict[str, str]:
    """The option of a model's session for results of a kind; none where they are of that kind anyway."""
    return {} if model.kind == kind else {"results": kind}


class AnnotateSession:
    """A source on its way through both models, each in a thread of its own; a context manager.

    The bytes of a pipe are read once and go to both; a file is opened twice, and so is an address.

    Args:
        speech, labeller: models, see `transducer.load`.
        source: a path, an address, "-", or an open binary file.
        words, events: options of `Model.session`, for each of them.
    """

    def __init__(
        self,
        speech: Any,
        labeller: Any,
        source: Any,
        words: Mapping[str, Any] | None = None,
        events: Mapping[str, Any] | None = None,
    ) -> None:
        self._resources = ExitStack()
        self._split: FanOut | None = None
        first, second = self._open(source)
        self._words = _Half(lambda: speech.session(first, **(words or {})), first)
        self._scenes = _Half(
            lambda: labeller.session(second, **results_option(labeller, "events"), **(events or {})), second
        )
        self._halves = (self._words, self._scenes)

    def __enter__(self) -> AnnotateSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()
        self._resources.close()

    @property
    def position(self) -> float:
        """Seconds that both models have seen."""
        return min((half.session.position for half in self._halves if half.session is not None), default=0.0)

    @property
    def duration(self) -> float | None:
        """Seconds of the whole, as far as it is known."""
        known = [half.session.duration for half in self._halves if half.session is not None]
        return max((seconds for seconds in known if seconds is not None), default=None)

    @property
    def incomplete(self) -> bool:
        """Whether something of the source could not be read; known at the end."""
        return any(half.session.incomplete for half in self._halves if half.session is not None)

    def run(self) -> None:
        """Work until the end of the source.

        Raises:
            UsageError: an option that makes no sense, a model of the wrong kind.
            MediaError: the source has neither sound nor pictures, or one of them breaks off. What there is of the
                other is in `result` all the same.
        """
        for half in self._halves:
            half.start()
        while any(half.is_alive() for half in self._halves):
            # Waits in slices: a wait without an end would keep an interrupt waiting, too.
            for half in self._halves:
                half.join(0.05)
            if any(isinstance(half.failure, UsageError) for half in self._halves):
                break
        failures = [half.failure for half in self._halves if half.failure is not None]
        for failure in failures:
            if not isinstance(failure, MediaError):
                raise failure
        if all(half.session is None for half in self._halves):
            raise failures[0] if str(failures[0]) == str(failures[-1]) else _neither(failures)
        for half in self._halves:
            if half.failure is not None and half.session is not None:
                raise half.failure

    def result(self, source: str = "") -> Annotation | None:
        """What is certain by now; None if nothing is.

        Args:
            source: its name; that of the session if not given.
        """
        self._stop()
        transcript = labelling = None
        warnings: dict[str, None] = {}
        for half in self._halves:
            found = half.session.warnings if half.session is not None else [str(half.failure)] if half.failure else []
            warnings |= dict.fromkeys(found)
        if (session := self._words.session) is not None and not self._words.is_alive():
            source = source or session.name
            transcript = replace(session.result(), source=source)
        if (session := self._scenes.session) is not None and not self._scenes.is_alive():
            source = source or session.name
            labelling = replace(session.result(), source=source)
            labelling = labelling if labelling.frames else None
        if transcript is None and labelling is None:
            return None
        return Annotation(source, transcript, labelling, tuple(warnings))

    def _open(self, source: Any) -> tuple[Any, Any]:
        """What each model reads."""
        if isinstance(source, str) and "://" in source:
            return source, source
        if source == STANDARD_INPUT:
            source, name = getattr(sys.stdin, "buffer", None), "standard input"
            if source is None or source.isatty():
                open_source(STANDARD_INPUT)  # says what is wrong with it
        elif hasattr(source, "read"):
            name = str(getattr(source, "name", "open file"))
        elif not is_media_source(source):
            raise UsageError(f"{type(source).__name__} is no source; give a path, an address or an open file")
        elif is_pipe(source):
            name = os.fspath(source)
            source = self._resources.enter_context(io.FileIO(source))
        else:
            open_source(source).close()
            return self._resources.enter_context(_File(source)), self._resources.enter_context(_File(source))
        self._split = FanOut(source, 2, name)
        first, second = self._split.readers
        return first, second

    def _stop(self) -> None:
        """End the threads; those that only an address holds up are left behind."""
        for half in self._halves:
            half.stop()
        if self._split is not None:
            self._split.stop()
        until = time.monotonic() + PATIENCE
        for half in self._halves:
            if half.is_alive():
                half.join(max(until - time.monotonic(), 0.0))


class _Half(threading.Thread):
    """One of the two sessions."""

    def __init__(self, open_session: Callable[[], Any], source: Any) -> None:
        super().__init__(daemon=True)
        self.session: Any = None
        self.failure: BaseException | None = None
        self._open_session = open_session
        self._source = source
        self._stopped = False

    def run(self) -> None:
        try:
            with self._open_session() as self.session:
                for _ in self.session:
                    if self._stopped:
                        break
        except BaseException as error:
            self.failure = error
        finally:
            # The other half need not wait for this one any more.
            if hasattr(self._source, "close"):
                self._source.close()

    def stop(self) -> None:
        """Let the source end at once; what is found behind that place is no result."""
        self._stopped = True
        if isinstance(self._source, _File):
            self._source.stopped = True
        elif hasattr(self._source, "close"):
            self._source.close()


class _File(io.FileIO):
    """A file that can be made to end from another thread."""

    stopped = False

    def read(self, size: int = -1) -> bytes:
        return b"" if self.stopped else super().read(size)


def _neither(failures: list[BaseException]) -> TransducerError:
    return MediaError("; ".join(str(failure) for failure in failures))
