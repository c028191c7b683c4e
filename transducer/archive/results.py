"""What became of an item, whoever worked on it: its result, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transducer.archive.manifest import Item
from transducer.formats.annotations import annotation_to_dict
from transducer.formats.events.document import labelling_to_dict
from transducer.formats.words.document import transcript_to_dict
from transducer.results import Annotation, Labelling, Transcript

_FIELDS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Transcript: transcript_to_dict,
    Labelling: labelling_to_dict,
    Annotation: annotation_to_dict,
}


def result_fields(result: Transcript | Labelling | Annotation) -> dict[str, Any]:
    """What `--format json` has of a result."""
    return _FIELDS[type(result)](result)


@dataclass(frozen=True)
class Done:
    """An item with its result.

    Attributes:
        seconds: that the work took.
        incomplete: parts of the item could not be read; the result's warnings say which.
    """

    item: Item
    result: Transcript | Labelling | Annotation
    seconds: float
    incomplete: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """As JSON: path, line of the list, status, and what `--format json` has; None for what there is none of."""
        status = "parts missing" if self.incomplete else "done"
        head = {
            "path": self.item.name,
            "line": self.item.line,
            "status": status,
            "error": None,
            "seconds": round(self.seconds, 3),
        }
        return {**head, "duration": self.result.duration, **result_fields(self.result)}


@dataclass(frozen=True)
class Failed:
    """An item without a result.

    Attributes:
        error: why, in one line that names the source.
        seconds: that it took to find out.
    """

    item: Item
    error: str
    seconds: float = 0.0

    @property
    def fields(self) -> dict[str, Any]:
        """As JSON, see `Done.fields`; without those of a result."""
        return {
            "path": self.item.name,
            "line": self.item.line,
            "status": "failed",
            "error": self.error,
            "seconds": round(self.seconds, 3),
            "duration": None,
        }
