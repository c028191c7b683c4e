"""What a live command works with: the source that it names, recorded, and the models that it goes through."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import transducer
from transducer.cli.live.job import LiveJob, LivePlan
from transducer.cli.live.recording import Recording
from transducer.cli.live.tracks import Health, Session, Track
from transducer.cli.options import text_stages
from transducer.cli.outputs import source_name
from transducer.cli.sessions import check_kind
from transducer.engine.live import LiveSession
from transducer.errors import UsageError
from transducer.media.audio.medium import Samples
from transducer.media.live.capture import Inbox
from transducer.media.live.saver import Saver

SERVER_RATE = Fraction(16000)  # samples a second that are sent
TOKEN = "TRANSDUCER_TOKEN"
PICTURES = 2  # frames to work on at a time

Tell = Callable[[str], None]


class Source:
    """What is open.

    Attributes:
        name: to show.
        tracks: sound, pictures, or both.
        health: how they are doing.
        saver: keeps what comes, if that is wanted.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.tracks: list[Track] = []
        self.health = Health()
        self.saver: Saver | None = None

    @property
    def failed(self) -> bool:
        """Whether something could not be kept."""
        return self.saver is not None and self.saver.failed


@contextmanager
def open_source(plan: LivePlan, inbox: Inbox, tell: Tell) -> Iterator[Source]:
    """Open what the command line names.

    A device is recorded from before the search is ready, so that what is said meanwhile is not lost.

    Raises:
        UsageError: a model of the wrong kind, or an option that it does not take.
    """
    job = plan.job
    if job.server is not None:
        with _open_remote(plan, inbox, tell) as source:
            yield source
        return
    models = {}
    if job.hears:
        models["words"] = _load(job.speech_model, "samples", "words")
    if job.sees:
        models["events"] = _load(job.model, "frames", "events")
    source = Source(_name(job))
    if job.save is not None:
        rate = int(models["words"].medium.rate) if job.hears else None
        source.saver = Saver(Path(job.save), rate, job.sees, tell)
    recording = Recording(plan, inbox, source.saver)
    try:
        heard = recording.sound(models["words"].medium) if job.hears else None
        seen = recording.pictures(models["events"].medium, _is_fast(models["events"])) if job.sees else None
        recording.start(devices=True)
        for kind, capture in recording.captures.items():
            stages = text_stages(job.punctuate, job.digits) if kind == "words" else _as_they_are
            session = _session(plan, kind, models[kind], source.name)
            partials = plan.wants_partials and kind == "words"
            source.tracks.append(
                Track(session, capture, recording.stop, stages, tell, partials, plan.keep, job.is_live)
            )
        source.health = Health(source.tracks, None if heard is None else heard.level, seen)
        recording.start(devices=False)
        yield source
    finally:
        recording.close()
        if source.saver is not None:
            source.saver.close()


@contextmanager
def _open_remote(plan: LivePlan, inbox: Inbox, tell: Tell) -> Iterator[Source]:
    """Words and events that a server finds: no model is loaded here."""
    from transducer.cli.live.remote import PICTURE, RemoteSession, check_results, hello_of

    job, rate = plan.job, int(SERVER_RATE)
    source, address, token = Source(_name(job)), job.server or "", job.token or os.environ.get(TOKEN)
    hellos = {}
    if job.hears:
        hellos["words"] = hello_of("words", plan.words, job.speech_model, rate, job.punctuate, job.digits)
    if job.sees:
        hellos["events"] = hello_of("events", plan.events, job.model)
    with ExitStack() as stack:
        sessions = {}
        for kind, hello in hellos.items():
            sessions[kind] = RemoteSession(address, token, hello, source.name, plan.keep)
            stack.callback(sessions[kind].close)
        if job.save is not None:
            source.saver = Saver(Path(job.save), rate if job.hears else None, job.sees, tell)
            stack.callback(source.saver.close)
        recording = Recording(plan, inbox, source.saver)
        stack.callback(recording.close)
        heard = recording.sound(Samples(SERVER_RATE)) if job.hears else None
        seen = recording.pictures(PICTURE, fast=False) if job.sees else None
        for kind, capture in recording.captures.items():
            check_results(sessions[kind], kind)
            partials = plan.wants_partials and kind == "words"
            source.tracks.append(
                Track(sessions[kind], capture, recording.stop, _as_they_are, tell, partials, plan.keep, job.is_live)
            )
        source.health = Health(source.tracks, None if heard is None else heard.level, seen)
        recording.start(devices=True)
        recording.start(devices=False)
        yield source


def _load(name: str, medium: str, kind: str) -> Any:
    model = transducer.load(name)
    check_kind(model, name, kind)
    if model.medium.name != medium:
        command = "transducer watch" if medium == "samples" else "transducer listen"
        raise UsageError(f"the model {name} takes {model.medium.name} and not {medium}: is it for {command}?")
    return model


def _session(plan: LivePlan, kind: str, model: Any, name: str) -> Session:
    asked = {"results": kind} if model.kind != kind else {}
    options = plan.words if kind == "words" else plan.events
    block = PICTURES if kind == "events" else None
    return LiveSession(
        model.engine(**asked, **options),
        name,
        plan.keep,
        rate=25 if kind == "events" else None,
        language=model.config.language,
        block=block,
    )


def _name(job: LiveJob) -> str:
    if job.source is None:
        return "camera" if job.sees else "microphone"
    return source_name(job.source)


def _is_fast(model: Any) -> bool:
    return bool(model.config.decoding.fast_decoding)


def _as_they_are(results: Any) -> Any:
    return results
