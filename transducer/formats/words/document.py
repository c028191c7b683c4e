"""JSON: a whole transcript as one document, or a segment a line.

Times are seconds rounded to microseconds, as they are in results, and probabilities are rounded to four digits:
reading back what was written gives the transcript up to that, and writing it again gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from transducer.errors import UsageError
from transducer.formats.values import probability, to_json, word_from_dict, word_to_dict
from transducer.results import Segment, Transcript


def segment_to_dict(segment: Segment) -> dict[str, Any]:
    """{start, end, text, final, words}, see `word_to_dict`, and for a partial the number of `stable` words;
    `alternatives` [{text, log_prob}] only where there are some."""
    result: dict[str, Any] = {
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "final": segment.final,
    }
    if not segment.final:
        result["stable"] = segment.stable
    result["words"] = [word_to_dict(word) for word in segment.words]
    if segment.alternatives:
        result["alternatives"] = [
            {"text": text, "log_prob": probability(log_prob)} for text, log_prob in segment.alternatives
        ]
    return result


def segment_from_dict(data: dict[str, Any]) -> Segment:
    words = tuple(map(word_from_dict, data["words"]))
    return Segment(
        words=words,
        final=data["final"],
        start=data["start"],
        end=data["end"],
        stable=len(words) if data["final"] else data["stable"],
        alternatives=tuple((item["text"], item["log_prob"]) for item in data.get("alternatives", ())),
    )


def transcript_to_dict(transcript: Transcript) -> dict[str, Any]:
    return {
        "source": transcript.source,
        "language": transcript.language,
        "duration": transcript.duration,
        "text": transcript.text,
        "segments": [segment_to_dict(segment) for segment in transcript.segments],
        "warnings": list(transcript.warnings),
    }


def render_json(transcript: Transcript, indent: int | None = 2) -> Iterator[str]:
    """The document, ending with a newline; `indent` None puts it on one line."""
    yield to_json(transcript_to_dict(transcript), indent)


def parse_json(text: str) -> Transcript:
    """Read what `render` wrote as json.

    Raises:
        UsageError: the text is no JSON, or not that of a transcript; says what is missing.
    """
    try:
        data = json.loads(text)
        return Transcript(
            segments=tuple(segment_from_dict(item) for item in data["segments"]),
            duration=data["duration"],
            source=data["source"],
            language=data.get("language", ""),
            warnings=tuple(data.get("warnings", ())),
        )
    except json.JSONDecodeError as error:
        raise UsageError(f"not a transcript: no JSON ({error})") from error
    except KeyError as error:
        raise UsageError(f"not a transcript: it has no {error.args[0]!r}") from error
    except (TypeError, AttributeError) as error:
        raise UsageError("not a transcript: its JSON has another structure") from error


def json_rows(source: str) -> Callable[[Segment], str]:
    """A line a segment, partial ones included: its keys after `source`."""
    return lambda segment: to_json({"source": source, **segment_to_dict(segment)})
