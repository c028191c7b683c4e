"""Results as files: `render` gives the text, `write` a file, `ResultWriter` rows as they come.

Which formats there are depends on what is written: `formats(Transcript)`, `formats(Labelling)`, `formats(Annotation)`.
"""

from __future__ import annotations

from transducer.formats.annotations import FORMATS as ANNOTATIONS
from transducer.formats.events import FORMATS as LABELLINGS
from transducer.formats.output import ResultWriter, pieces, render, suffix_format, write
from transducer.formats.registry import Format, check_format, find_format, formats, register, row_format
from transducer.formats.words import FORMATS as TRANSCRIPTS
from transducer.formats.words.document import parse_json
from transducer.results import Annotation, Labelling, Transcript

__all__ = [
    "Format",
    "ResultWriter",
    "check_format",
    "find_format",
    "formats",
    "parse_json",
    "pieces",
    "register",
    "render",
    "row_format",
    "suffix_format",
    "write",
]

register(Transcript, TRANSCRIPTS)
register(Labelling, LABELLINGS)
register(Annotation, ANNOTATIONS)
