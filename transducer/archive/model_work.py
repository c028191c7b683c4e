"""What one model makes of items, wherever it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from transducer.archive.addresses import open_address
from transducer.archive.listed import as_item
from transducer.archive.manifest import BadLine, Item
from transducer.archive.results import Done, Failed
from transducer.archive.watch import Watched
from transducer.archive.worker import CLIPS, SHORT
from transducer.engine.clips import ClipBatch
from transducer.engine.model import Model, load
from transducer.engine.multi import results_option
from transducer.errors import MediaError, TransducerError
from transducer.media.io.sources import printable
from transducer.media.medium import BlockReader
from transducer.results import Labelling, Transcript

_PAUSE = 1.0  # seconds before something is tried again, and twice that before the next time


@dataclass(frozen=True)
class Settings:
    """How a worker begins.

    Attributes:
        model: as for `transducer.load`; a folder is to be there on every machine.
        options: of its sessions.
        device: "cpu", "cuda", "auto".
        threads: that torch computes with; None leaves it at that.
        retries: how often what failed at a distance is tried again: files of other machines, not what they hold.
    """

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    threads: int | None = None
    retries: int = 2

    def start(self) -> ModelWork:
        """Raises TransducerError where nothing can be done at all: an unknown model, or option."""
        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)
        return ModelWork(load(self.model, self.device), self.options, self.retries)


class ModelWork:
    """A model at work.

    Attributes:
        result: the class of its results.
        granting: is called with the seconds of media that are worked on from now on, see `granted`.
        watching: is given what tells how far the work on an item is.
    """

    def __init__(self, model: Model, options: dict[str, Any], retries: int):
        self.granting: Callable[[float], None] = lambda seconds: None
        self.watching: Callable[[Watched], None] = lambda session: None
        options = {"partials": False, **options}  # nobody sees them
        model.engine(**options)
        self.result: type[Transcript] | type[Labelling] = Transcript if model.kind == "words" else Labelling
        self._model, self._retries = model, retries
        self._options = {**results_option(model, model.kind), **options}
        self._clips = self._room()

    def outcomes(self, items: Sequence[Item | BadLine]) -> Iterator[Done | Failed]:
        """What became of each: of those that are short sounds as they are over, of the others in their order."""
        waiting: dict[Hashable, tuple[Item, float]] = {}
        for number, item in enumerate(items):
            began = time.monotonic()
            self.granting(SHORT)
            if isinstance(item, BadLine):
                yield Failed(as_item(item), f"{item.name}: {item.error}")
            elif self._clips is not None and "://" not in item.path and self._joins(self._clips, number, item):
                waiting[number] = (item, began)
                while self._clips.full:
                    yield from self._step(self._clips, waiting)
            else:
                yield self._outcome(item)
        while self._clips is not None and waiting:
            yield from self._step(self._clips, waiting)

    def _room(self) -> ClipBatch | None:
        """For short sounds; pictures take longer to decode than to judge, which a batch does not change."""
        return self._model.clips(CLIPS, **self._options) if self._model.medium.name == "samples" else None

    def _joins(self, clips: ClipBatch, number: int, item: Item) -> bool:
        """Whether an item is a short sound, which has been read, to go through the network with others."""
        try:
            reader: BlockReader = self._model.open(item.path, **self._options, **item.options)
            if reader.duration is None or reader.duration - reader.start > SHORT:
                reader.close()
                return False
            clips.add(number, reader)
        except Exception:
            return False  # what is wrong with it is told where it is worked on by itself
        return True

    def _step(self, clips: ClipBatch, waiting: dict[Hashable, tuple[Item, float]]) -> Iterator[Done | Failed]:
        """Go on with the short sounds; those that something goes wrong with are worked on again, by themselves."""
        again = []
        self.granting(SHORT * len(clips))
        try:
            for clip in clips.step():
                item, began = waiting.pop(clip.key)
                if clip.failure is not None:
                    again.append(item)
                    continue
                result = replace(clip.result(), source=printable(item.path))
                yield Done(item, result, time.monotonic() - began, bool(clip.incomplete))
        except Exception:
            again += [item for item, _ in waiting.values()]
            waiting.clear()
            self._clips = self._room()
        yield from map(self._outcome, again)

    def _outcome(self, item: Item) -> Done | Failed:
        began = time.monotonic()
        tries = 1 + (self._retries if "://" in item.path else 0)
        for number in range(tries):
            self.granting(SHORT)
            try:
                return self._done(item, began)
            except TransducerError as error:
                cause = str(error)
                if not isinstance(error, MediaError):
                    tries = number + 1  # it will be the same again
                    break
            except OSError as error:
                cause = f"{printable(item.name)}: {str(error).splitlines()[0]}"
            except Exception as error:
                cause = f"{printable(item.name)}: went wrong: {type(error).__name__}: {error}"
                tries = number + 1
                break
            if number + 1 < tries:
                pause = _PAUSE * 2**number
                self.granting(pause)
                time.sleep(pause)
        tried = f" (tried {tries} times)" if tries > 1 else ""
        return Failed(item, f"{cause}{tried}", time.monotonic() - began)

    def _done(self, item: Item, began: float) -> Done:
        source = open_address(item.path)
        try:
            with self._model.session(source, **self._options, **item.options) as session:
                self.watching(session)
                for _ in session:
                    pass
                result = replace(session.result(), source=printable(item.path))
                return Done(item, result, time.monotonic() - began, bool(session.incomplete))
        finally:
            with suppress(AttributeError):
                source.close()
