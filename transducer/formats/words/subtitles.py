"""SubRip and WebVTT, written by pysubs2."""

from __future__ import annotations

import re
from collections.abc import Iterable

from transducer.formats.words.cues import Cue, make_cues
from transducer.results import Transcript


def render_subtitles(transcript: Transcript, kind: str) -> str:
    """The text of an "srt" or "vtt" file."""
    return cues_to_text(make_cues(transcript), kind)


def cues_to_text(cues: Iterable[Cue], kind: str) -> str:
    """Cues as the text of an "srt" or "vtt" file."""
    import pysubs2

    file = pysubs2.SSAFile()
    for cue in cues:
        text = "\n".join(cue.lines)
        if kind == "vtt":
            text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        # pysubs2 takes a backslash with h, n or N for a line break: a word joiner keeps the two apart.
        text = re.sub(r"\\(?=[hnN])", "\\\\\u2060", text)
        file.events.append(pysubs2.SSAEvent(start=cue.start, end=cue.end, text=text))
    # Without keep_ssa_tags, words in curly brackets would be taken for styling and left out.
    return file.to_string(kind, keep_ssa_tags=True)
