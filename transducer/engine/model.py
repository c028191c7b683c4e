"""The public face of a model: what it makes of a source, or of a stream that is fed by hand."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transducer.engine.batch import StreamBatch
from transducer.engine.client import StreamState
from transducer.engine.clips import ClipBatch
from transducer.engine.engine import Engine
from transducer.engine.language import LanguageModel
from transducer.engine.networks import Networks
from transducer.engine.session import Session
from transducer.engine.stream import Stream
from transducer.errors import UsageError, require
from transducer.media.counted import counts_steps
from transducer.media.medium import BlockReader, Medium
from transducer.media.text import Text
from transducer.model.config import settings
from transducer.model.names import CONFIG, EXPORTED, WORDS
from transducer.published.detection import is_published
from transducer.published.hub import fetch, is_name
from transducer.results import Labelling, Transcript
from transducer.search.context import SearchContext
from transducer.search.endpoint import SENTENCE_PAUSE, EndpointRules
from transducer.search.options import NO_SECOND_PASS, OF_FULL_CONTEXT, Options
from transducer.search.tokens.language import LanguageScorer
from transducer.search.tokens.word_model import WordModel, read_config
from transducer.text.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    from transducer.model.network import Network

MODELS = "checkpoints"


def models() -> list[str]:
    """The names of the bundled models."""
    folder = resources.files("transducer") / MODELS
    return sorted(entry.name for entry in folder.iterdir() if (entry / CONFIG).is_file()) if folder.is_dir() else []


def load(name_or_folder: str | Path, device: str = "cpu") -> Model:
    """A bundled model by its name, or the folder of a checkpoint, of an exported or of a published model by its path.

    A published model may also be named: "whisper-tiny.en", and others that `transducer models` lists, or OWNER/NAME of
    any that has one of the families here. It comes from the cache of the Hugging Face hub, or is fetched into it.

    Args:
        device: where to compute: "cpu", "cuda", "cuda:1", or "auto" for a GPU where there is one.

    Raises:
        UsageError: there is no such model or device. CheckpointError: the folder cannot be used, or not be fetched.
    """
    require(name_or_folder, (str, os.PathLike), "a model is named, or its folder given")
    name = os.fspath(name_or_folder)
    if name in models():
        return Model(Path(str(resources.files("transducer") / MODELS / name)), device)
    try:
        if Path(name_or_folder).is_dir() or is_published(Path(name_or_folder)):
            return Model(Path(name_or_folder), device)
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        name = f"{name[:80]}..."
    if is_name(name):
        return Model(fetch(name), device, name.rpartition("/")[2])
    bundled = ", ".join(models()) or "none"
    raise UsageError(
        f"unknown model {name!r}: it is neither a folder nor one of the bundled models ({bundled}), and "
        "`transducer models` knows no published one of this name"
    )


def open_networks(folder: Path, device: Any) -> Networks:
    """What a folder holds, by the library that computes it: a checkpoint or a published model by PyTorch, an exported
    model by onnxruntime, which imports nothing of PyTorch."""
    if (folder / EXPORTED).is_file():
        from transducer.engine.exported import ExportedNetworks

        return ExportedNetworks(folder, device)
    from transducer.engine.torch_networks import TorchNetworks

    return TorchNetworks.load(folder, device)


class Model:
    """A model that is ready to run. Models are loaded by `transducer.load`.

    Attributes:
        name: of the folder it was loaded from.
        config: what it is made of.
        units: name -> tokenizer.
        medium: what it hears or sees.
        device: where it computes.
    """

    def __init__(self, folder: str | Path, device: Any = "cpu", name: str | None = None):
        require(folder, (str, os.PathLike), "a model's folder is given as a path: load takes names as well")
        self.folder = Path(folder)
        self.name = name or self.folder.resolve().name
        self.networks = open_networks(self.folder, device)
        self.config, self.units, self.device = self.networks.config, self.networks.units, self.networks.device
        self.medium: Medium = self.networks.medium
        self._words = lru_cache(maxsize=1)(self._load_words)
        self._engine = lru_cache(maxsize=8)(self._build_engine)

    @property
    def network(self) -> Network:
        """The network of a checkpoint. Raises UsageError for an exported model, which has none."""
        found: Network | None = getattr(self.networks, "network", None)
        if found is None:
            raise UsageError(f"the model {self.name} is exported: what looks inside a network needs its checkpoint")
        return found

    @property
    def kind(self) -> str:
        """Of the results: "words" or "events"."""
        return self.engine(head=next(iter(self.config.heads))).kind

    @property
    def rate(self) -> int | None:
        """Samples per second that streams take; None where steps are not samples."""
        return int(self.medium.rate) if self.medium.name == "samples" else None

    @property
    def chunks_ms(self) -> tuple[float, ...]:
        """The chunk sizes that the model was trained for, in milliseconds; of video at its usual rate."""
        return tuple(chunk * self._step_ms for chunk in self.config.chunks)

    def engine(self, **options: Any) -> Engine:
        """What streams run; the same for the same options (see `Options`), and shared by any number of streams.

        Raises:
            UsageError: an option that does not exist, makes no sense, or is not for this model.
        """
        return self._engine(Options.of(options))

    def session(
        self, source: Any, *, block: int | None = None, keep: bool = True, frames: bool = False, **options: Any
    ) -> Session:
        """Follow a source: an iterator of results, and a context manager.

        Args:
            source: a path, an address, "-" or an open binary file; or samples, an iterable of float32 mono arrays at
                the model's rate; or pictures, an iterable of uint8 (H, W, 3) arrays, RGB, or one array (T, H, W, 3).
            block, keep: see `Session`.
            frames: of events, the result has the probability of every label on every frame as well.
            options: see `Options`, and what the medium takes: raw, the format of a source of bare samples such as
                ("s16le", 16000, 1); start and length in seconds; track, the number of the sound to hear; fps, of
                pictures.

        Raises:
            MediaError: the source cannot be read, or has nothing of what the model takes. UsageError: it is no source,
                or an option does not fit. Both may also come while iterating.
        """
        engine, reading = self._part(options)
        reader = self.medium.open(source, block=block or (engine.block if self.medium.steady else None), **reading)
        try:
            return Session(engine, reader, block, keep, frames, self.config.language)
        except BaseException:
            reader.close()
            raise

    def clips(self, capacity: int, **options: Any) -> ClipBatch | None:
        """Room for short sources in one step, see `ClipBatch`; None where the medium has no steady clock.

        Args:
            options: as of `session`; those of the medium are for `open`.
        """
        engine, _ = self._part(options)
        return ClipBatch(engine, capacity, self.config.language) if self.medium.steady else None

    def open(self, source: Any, **options: Any) -> BlockReader:
        """A source as `session` reads it, for `ClipBatch`; raises what that does."""
        engine, reading = self._part(options)
        return self.medium.open(source, block=engine.block, **reading)

    def _part(self, options: dict[str, Any]) -> tuple[Engine, dict[str, Any]]:
        """The engine for some options of `session`, and those of them that are the medium's."""
        known = set(Options.__dataclass_fields__)
        engine = self.engine(**{name: value for name, value in options.items() if name in known})
        reading = {name: value for name, value in options.items() if name not in known}
        if self.config.decoding.fast_decoding:
            reading.setdefault("fast", True)
        if unknown := sorted(reading.keys() - set(self.medium.options)):
            there = ", ".join([*sorted(known), *self.medium.options])
            raise UsageError(f"unknown option {', '.join(unknown)} for the model {self.name}: there are {there}")
        return engine, reading

    def predict(self, source: Any, **options: Any) -> Any:
        """All that the model makes of a source: a `Transcript` or a `Labelling`; the options are those of `session`."""
        # Nobody sees them: what only they need is left out.
        with self.session(source, **{"partials": False, **options}) as session:
            for _ in session:
                pass
            return session.result()

    def transcribe(self, source: Any, **options: Any) -> Transcript:
        """The words of a source. Raises UsageError where the model writes none."""
        transcript: Transcript = self.predict(source, results="words", **options)
        return transcript

    def align(self, source: Any, text: str, **options: Any) -> Transcript:
        """When the words of a text are said, each of its lines a segment; see `align` of `Options`."""
        return self.transcribe(source, align=text, **options)

    def label(self, source: Any, **options: Any) -> Labelling:
        """The events of a source, and the scenes between them; the words of a model that writes words are events."""
        labelling: Labelling = self.predict(source, results="events", **options)
        return labelling

    def stream(
        self, *, block: int | None = None, state: StreamState | None = None, fps: float | None = None, **options: Any
    ) -> Stream:
        """A stream to push samples or frames into by hand; see `Stream` and `Options`.

        Args:
            fps: frames per second, for the times of frames that come without.
        """
        return Stream(self.engine(**options), block, state, fps)

    def batch(self, capacity: int, *, block: int | None = None, **options: Any) -> StreamBatch:
        """Room for many streams in one step; see `StreamBatch` and `Options`."""
        return StreamBatch(self.engine(**options), capacity, block)

    def language_model(self) -> LanguageModel:
        """What goes on with texts and scores them. Raises UsageError where the model is no causal language model."""
        name = self._head(Options())
        part = self.config.heads[name]
        if part.tag != "language" or not isinstance(self.medium, Text):
            raise UsageError(f"the model {self.name} is no language model: train one, see pipelines/completion.py")
        network = self.networks.backend((name,), 1)
        return LanguageModel(network, self.units[part.units], self.medium.tokenizer, self.name)

    def info(self) -> dict[str, Any]:
        """What people ask about a model; the card's entries come last."""
        # A greedy search needs no lexicon to be read.
        searching = {"search": "greedy"} if self.kind == "words" else {}
        engine = self.engine(head=self._head(Options()), **searching)
        media = self.medium.facts(engine.lookahead)
        if not engine.streams:  # it sees all that comes
            media = {name: value for name, value in media.items() if not name.startswith("look_ahead")}
        facts: dict[str, Any] = {
            "name": self.name,
            "parameters": self.networks.parameters,
            "size_bytes": sum(path.stat().st_size for path in (self.folder, *self.folder.rglob("*")) if path.is_file()),
            "streams": engine.streams,
            **media,
        }
        if self.medium.name == "samples":
            facts |= {
                "stride_ms": self._step_ms,
                "chunk_ms": self.chunk_steps(None) * self._step_ms,
                "chunks_ms": list(self.chunks_ms),
            }
            if engine.streams:
                facts["latency_ms"] = engine.latency * 1000
        described = {"language": self.config.language, "defaults": settings(self.config.decoding)}
        if self.config.events is not None:
            described["events"] = settings(self.config.events)
        facts |= {name: value for name, value in described.items() if value}
        facts["stages"] = self.networks.stages()
        return {**facts, **engine.search.facts(), **self.config.card}

    @property
    def _step_ms(self) -> float:
        """Of the encoder, in milliseconds."""
        return float(self.networks.hop * 1000 / self.medium.rate)

    def chunk_steps(self, chunk_ms: float | None) -> int:
        """A chunk in encoder steps; the model's default for None."""
        chunk_ms = self.config.decoding.chunk_ms if chunk_ms is None else chunk_ms
        if chunk_ms is None:
            return int(self.config.chunks[len(self.config.chunks) // 2])
        steps = round(chunk_ms / self._step_ms)
        if steps < 1 or abs(steps * self._step_ms - chunk_ms) > 1e-6:
            raise UsageError(
                f"a chunk of {chunk_ms:g} ms is no multiple of the model's step of {self._step_ms:g} ms; "
                f"the model was trained for chunks of {', '.join(f'{ms:g}' for ms in self.chunks_ms)} ms"
            )
        return steps

    def _build_engine(self, options: Options) -> Engine:
        chunk = self.chunk_steps(options.chunk_ms)
        name = self._head(options)
        units, head = self.config.heads[name].units, self.networks.head(name, chunk)
        if chunk % head.stride:
            step = head.stride * self._step_ms
            raise UsageError(f"the head {name} of the model {self.name} needs chunks of a multiple of {step:g} ms")
        network = self.networks.backend((name,), chunk)
        second = self._second_pass(options)
        asked, decoding = options, self.config.decoding
        if second is not None:
            # What is for full-context models is for the second one.
            asked = options.without(OF_FULL_CONTEXT)
            asked = replace(asked, endpoint=options.endpoint or EndpointRules(silence_after_words=SENTENCE_PAUSE))
            decoding = replace(decoding, beam=decoding.draft_beam or decoding.beam)
        context = SearchContext(
            options=asked,
            decoding=decoding,
            events=self.config.events,
            tokenizer=self.units[units],
            seconds_per_step=network.stride / float(self.medium.rate),
            # Megabytes, which other searches have no use for.
            words=self._words() if name in self._spelled(options) else None,
            model=self.name,
            counted=counts_steps(self.medium),
            language=self._fused(options, self.units[units]),
            block=max(1, chunk // head.stride),
            lag=network.latency,
            spoken=self.config.language,
        )
        block = math.lcm(chunk * self.networks.hop, network.block) if self.medium.steady else None
        renew = self.config.decoding.renew_after
        # A head that writes late would lose the beginning of what it has not written yet.
        steps = None if renew is None or head.delay else math.ceil(renew / context.seconds_per_step - 1e-6)
        search = head.search(context)
        if second is not None:
            from transducer.engine.second_pass import with_second_pass

            network, search = with_second_pass(network, search, context, options, load(second, str(self.device)))
        return Engine(network, search, self.medium, block, head.delay, steps)

    def _second_pass(self, options: Options) -> str | Path | None:
        """The model that writes final segments anew: the one that was asked for, or else this model's own.

        By default there is none for what only this model has: the times of a given text, events, the words of a head.
        """
        if options.second_pass is not None:
            return None if options.second_pass == NO_SECOND_PASS else options.second_pass
        alone = options.align is not None or options.results == "events" or options.head is not None
        return None if alone else self.config.decoding.second_pass

    def _head(self, options: Options) -> str:
        """The head to read: the one that was asked for, or the first that goes with the search."""
        heads = self.config.heads
        if options.head is not None and options.head not in heads:
            raise UsageError(f"the model {self.name} has no head {options.head!r}: there are {', '.join(heads)}")
        return options.head or next(iter(self._spelled(options)), next(iter(heads)))

    def _fused(self, options: Options, tokenizer: Tokenizer) -> LanguageScorer | None:
        """The language model for a beam search over these tokens, if one was asked for."""
        if options.language_model is None:
            if options.language_weight is not None:
                raise UsageError("language_weight needs a language_model")
            return None
        model = load(options.language_model, str(self.device)).language_model()
        if model.tokenizer.tokens != tokenizer.tokens:
            raise UsageError(f"the language model {model.name} has other tokens than the model {self.name}")
        return model.scorer

    def _spelled(self, options: Options) -> list[str]:
        """The heads whose tokens the words of a beam search are made of; none for other searches."""
        if (options.search or self.config.decoding.search) != "beam" or not (self.folder / WORDS).is_dir():
            return []
        units = read_config(self.folder / WORDS).units
        return [name for name, part in self.config.heads.items() if part.units == units]

    def _load_words(self) -> WordModel:
        return WordModel.load(self.folder / WORDS, self.units)
