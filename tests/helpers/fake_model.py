"""A model that reads scripts instead of sound, to test the command line alone.

A script is a text file of lines: `some words` is a final segment, `~some words` a partial one, `?text` a warning,
`!text` an error in the middle of the media, `.` waits a moment and `...` for ever. A word takes half a second, a
line ends in a pause of one. As a program this is the command line with the model called "fake":

    python tests/helpers/fake_model.py transcribe --model fake FILES...
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import transducer
from transducer.errors import MediaError, UsageError
from transducer.results import Segment, Transcript, Word


class FakeSession:
    """What the command line uses of a session of words."""

    kind = "words"
    latency = 0.32

    def __init__(self, lines: Iterable[str], source: str) -> None:
        self.name = source
        self.position = 0.0
        self.duration: float | None = 60.0
        self.warnings: list[str] = []
        self._lines = lines
        self._finals: list[Segment] = []

    @property
    def incomplete(self) -> bool:
        return bool(self.warnings)

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __iter__(self) -> Iterator[Segment]:
        for line in self._lines:
            if set(line) == {"."}:
                time.sleep(60 if line == "..." else 0.4)
            elif line.startswith("?"):
                self.warnings.append(f"{self.name}: {line[1:]}")
            elif line.startswith("!"):
                raise MediaError(f"{self.name}: {line[1:]}")
            else:
                segment = self._segment(line.removeprefix("~"), final=not line.startswith("~"))
                self._finals += [segment] * segment.final
                yield segment

    def result(self) -> Transcript:
        return Transcript(tuple(self._finals), self.position, self.name, "en", tuple(self.warnings))

    def _segment(self, text: str, final: bool) -> Segment:
        start = self.position
        words = tuple(Word(word, start + 0.5 * k, start + 0.5 * k + 0.5, 0.9) for k, word in enumerate(text.split()))
        end = start + 0.5 * len(words)
        if final:
            self.position = end + 1.0
        return Segment(words, final, start, end, stable=len(words) if final else len(words) - 1)


class FakeModel:
    kind = "words"
    medium: Any = None

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def session(self, source: Any, **options: Any) -> FakeSession:
        self.calls.append({"source": source, **options})
        if hasattr(source, "read"):
            return FakeSession(b"".join(iter(lambda: source.read(1000), b"")).decode().splitlines(), source.name)
        if source == "-":
            return FakeSession(sys.stdin.buffer.read().decode().splitlines(), "standard input")
        try:
            lines = Path(source).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise MediaError(f"{source}: cannot be read: {error.strerror}") from error
        return FakeSession(lines, str(source))

    def transcribe(self, source: Any, **options: Any) -> Transcript:
        with self.session(source, **options) as session:
            for _ in session:
                pass
            return session.result()

    def info(self) -> dict[str, Any]:
        return {
            "name": "fake",
            "parameters": 1234567,
            "size_bytes": 2_500_000,
            "rate_hz": 16000,
            "latency_ms": 320.0,
            "chunks_ms": [160, 320],
            "trained_on": [
                {"name": "Silence", "licence": "CC0", "hours": 1.5},
                {"name": "Noise", "licence": "CC BY 4.0", "hours": 12},
            ],
            "defaults": {"search": "greedy", "chunk_ms": 320},
        }


def load(name: str) -> FakeModel:
    if name != "fake":
        raise UsageError(f"no model {name!r}; there are fake")
    model = FakeModel()
    model.medium = SimpleNamespace(name="scripts")  # archives look at it
    return model


if __name__ == "__main__":
    from transducer.cli import main

    transducer.load = load
    sys.exit(main())
