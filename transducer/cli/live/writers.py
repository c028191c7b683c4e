"""Where live results go beside the screen: rows of standard output, and a file that grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from transducer.cli.console import report
from transducer.cli.live.job import by_row
from transducer.cli.live.tracks import Track
from transducer.cli.outputs import write_pieces
from transducer.cli.views import RowsView
from transducer.errors import MediaError
from transducer.formats import pieces
from transducer.formats.output import ResultWriter
from transducer.results import Annotation, Labelling, Segment, Transcript


class Both:
    """Words and events on one output, each in the rows of its own kind."""

    def __init__(self, words: Any, events: Any) -> None:
        self._words, self._events = words, events

    def item(self, item: Any) -> None:
        (self._words if isinstance(item, Segment) else self._events).item(item)

    def finish(self, result: Any, pictures: Any) -> None:
        pass


def rows_view(format: str, result: type, name: str) -> Any:
    """What writes results to standard output; see `transducer.cli.views.RowsView`."""
    if result is Annotation and by_row(format, Annotation):
        return Both(*(RowsView(format, kind, name, "", {}) for kind in (Transcript, Labelling)))
    return RowsView(format, result, name, "", {})


class LiveFile:
    """A file of results: a row as soon as it is certain, or, of a format without rows, all at the end.

    Raises:
        MediaError: it cannot be made.
    """

    def __init__(self, path: Path, format: str, result: type, name: str) -> None:
        self._path, self._format, self._result = path, format, result
        self._writers: dict[type, ResultWriter] = {}
        self._file: Any = None
        self.failed = False
        if by_row(format, result):
            try:
                self._file = path.open("w", encoding="utf-8")
            except OSError as error:
                raise MediaError(f"{path}: cannot be written: {error.strerror}") from None
            for kind in (Transcript, Labelling) if result is Annotation else (result,):
                self._writers[kind] = ResultWriter(self._file, format, kind, name)

    def item(self, item: Any) -> None:
        if self._file is None or self.failed:
            return
        kind = Transcript if isinstance(item, Segment) else Labelling
        try:
            self._writers[kind if kind in self._writers else self._result].add(item)
        except OSError as error:
            self.failed = True
            report("error", f"{self._path}: cannot be written any more: {error.strerror}; what comes next is not in it")

    def finish(self, result: Callable[[], Any]) -> None:
        if self._file is not None:
            self._file.close()
        elif not write_pieces(partial(pieces, result(), self._format), self._path):
            self.failed = True


def whole(tracks: Sequence[Track], result: type, name: str) -> Any:
    """All that was heard and seen, where it was kept."""
    transcript: Transcript | None = None
    labelling: Labelling | None = None
    for track in tracks:
        found = replace(track.session.result(), source=name)
        if isinstance(found, Transcript):
            transcript = replace(found, segments=tuple(track.finals))
        else:
            labelling = found
    if result is Annotation:
        warnings = dict.fromkeys(warning for track in tracks for warning in track.session.warnings)
        return Annotation(name, transcript, labelling, tuple(warnings))
    return labelling if transcript is None else transcript
