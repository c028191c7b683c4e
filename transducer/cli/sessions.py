"""How models are asked: the one place that knows their methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from transducer.errors import UsageError
from transducer.formats.events.tables import LISTED_SCENES
from transducer.results import Event, Scene, Segment, Transcript


def check_kind(model: Any, name: str, kind: str) -> None:
    """See that a model gives "words" or "events", as the command needs.

    Raises:
        UsageError: it does not; names the command for it.
    """
    given = model.kind
    if given != kind and kind == "words":  # words can be given as events, not the other way round
        raise UsageError(f"the model {name} gives {given}, and this takes a model of {kind}; use transducer label")


def open_session(model: Any, source: Any, kind: str, options: dict[str, Any]) -> Any:
    """A session of the model over a source that gives results of a kind; see `Model.session`."""
    from transducer.engine.multi import results_option

    return model.session(source, **results_option(model, kind), **options)


def open_annotation(models: Any, source: Any, words: dict[str, Any], events: dict[str, Any]) -> Any:
    """Both models over a source; the options are those of each one's session."""
    from transducer.engine.multi import AnnotateSession

    speech, labeller = models
    seen = {name: value for name, value in events.items() if name != "track"}  # pictures have one track
    return AnnotateSession(speech, labeller, source, words, seen)


def listing(session: Any) -> Iterator[Event | Scene]:
    """Events as they become certain, and before each the scenes that are over by then, where a listing has scenes."""
    shown = 0

    def over() -> Iterator[Scene]:
        nonlocal shown
        scenes = certain_scenes(session)
        while shown < len(scenes) and kind_of_events(session) in LISTED_SCENES:
            shown += 1
            yield scenes[shown - 1]

    for event in session:
        yield from over()
        yield event
    yield from over()


def certain_scenes(session: Any) -> list[Scene]:
    """The scenes of a session of events that will not change any more, growing on the way."""
    scenes: list[Scene] = session.scenes
    return scenes


def kind_of_events(session: Any) -> str:
    """See `transducer.search.events.rules`."""
    return str(session.events_kind)


def transcript(session: Any, segments: tuple[Segment, ...], name: str) -> Transcript:
    """What has been said so far, in these final segments."""
    found: Transcript = session.result()
    return replace(found, segments=segments, source=name)


def lacks_parts(session: Any) -> bool:
    """Whether something of a session's source could not be read."""
    return bool(session.incomplete)
