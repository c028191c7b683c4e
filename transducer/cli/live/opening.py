"""What a live command works with: the source that it names, recorded, and the models that it goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import transducer
from transducer.cli.live.job import LivePlan
from transducer.cli.live.tracks import Health, Track
from transducer.cli.options import text_stages
from transducer.cli.outputs import source_name
from transducer.cli.sessions import check_kind
from transducer.engine.live import LiveSession
from transducer.errors import UsageError
from transducer.media.live.capture import SOUND_LIMIT, Capture, Full, Inbox
from transducer.media.live.microphone import microphone
from transducer.media.live.pace import Pace
from transducer.media.live.reconnect import Reconnect
from transducer.media.live.sound import LiveSound, open_sound
from transducer.media.medium import Medium

Tell = Callable[[str], None]


class Source:
    """What is open.

    Attributes:
        name: to show.
        tracks: sound, pictures, or both.
        health: how they are doing.
        failed: whether something could not be kept.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.tracks: list[Track] = []
        self.health = Health()
        self.failed = False


@contextmanager
def open_source(plan: LivePlan, inbox: Inbox, tell: Tell) -> Iterator[Source]:
    """Open what the command line names.

    A device is recorded from before the search is ready, so that what is said meanwhile is not lost.

    Raises:
        UsageError: a model of the wrong kind, or an option that it does not take.
    """
    job = plan.job
    model = transducer.load(job.model)
    check_kind(model, job.model, "words")
    if model.medium.name != "samples":
        raise UsageError(
            f"the model {job.model} takes {model.medium.name}, and this is for sound: use transducer watch"
        )
    source = Source("microphone" if job.source is None else source_name(job.source))
    pace = Pace() if job.pace else None
    sound, capture, stop = open_words(plan, model.medium, inbox, pace)
    capture.start()
    try:
        asked = {"results": "words"} if model.kind != "words" else {}
        session = LiveSession(
            model.engine(**asked, **plan.words), source.name, plan.keep, language=model.config.language
        )
        stages = text_stages(job.punctuate, job.digits)
        source.tracks.append(Track(session, capture, stop, stages, tell, plan.wants_partials, plan.keep, job.is_live))
        source.health = Health(source.tracks, sound.level)
        yield source
    finally:
        stop()
        capture.stop()
        capture.join(1.0)


def open_words(
    plan: LivePlan, medium: Medium, inbox: Inbox, pace: Pace | None
) -> tuple[LiveSound, Capture, Callable[[], None]]:
    """The sound that the command line names, what records it, and what ends it wherever it waits."""
    job, rate = plan.job, int(medium.rate)
    reconnect = Reconnect(job.source) if job.source is not None and job.is_address else None
    if job.source is None:
        sound = LiveSound(lambda start: microphone(rate, _device(job.device)), medium)
    else:
        sound = LiveSound(partial(open_sound, job.source, rate, plan.raw, job.track), medium, pace, reconnect)
    # A microphone does not wait.
    full: Full = "gap" if job.source is None else "wait"
    capture = Capture(inbox, iter(sound), lambda block: len(block.inputs) / rate, SOUND_LIMIT, full)

    def stop() -> None:
        for waiting in (pace, reconnect):
            if waiting is not None:
                waiting.stop()

    return sound, capture, stop


def _device(name: str | None) -> int | str | None:
    """A device's number, or a part of its name."""
    return int(name) if name is not None and name.isdecimal() else name
