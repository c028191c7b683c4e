"""The public face of a model: transcribe or label a source, or follow it while it plays."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transducer.engine.session import Session
from transducer.engine.stream import Decoder, Stream, StreamBatch
from transducer.errors import UsageError
from transducer.frontends.audio_visual import AudioVisualConfig
from transducer.frontends.logmel import LogMelConfig
from transducer.frontends.words import WordsConfig
from transducer.media.audio.reader import open_audio
from transducer.media.io.sources import RawFormat
from transducer.model.checkpoint import CONFIG, WORDS, load_checkpoint
from transducer.model.config import ModelConfig, settings
from transducer.model.network import Network
from transducer.model.packing import pack_linears
from transducer.model.sequence import Serial, share_weights
from transducer.results import Labelling, Transcript
from transducer.search.build import Hotwords, build_segment_search
from transducer.search.endpoint import EndpointRules
from transducer.search.tokens.word_model import WordModel

if TYPE_CHECKING:
    from transducer.engine.label_session import LabelSession
    from transducer.engine.labelling import Labeller, LabelStream

MODELS = "checkpoints"
BUNDLED_SPEECH, BUNDLED_VIDEO = "speech-en", "shots"


def models() -> list[str]:
    """The names of the bundled models."""
    folder = resources.files("transducer") / MODELS
    return sorted(entry.name for entry in folder.iterdir() if (entry / CONFIG).is_file()) if folder.is_dir() else []


def load(name_or_folder: str | Path) -> Model:
    """A bundled model by its name, or a checkpoint folder by its path.

    Raises:
        UsageError: there is neither. CheckpointError: the folder cannot be used.
    """
    name = str(name_or_folder)
    if name in models():
        return Model(Path(str(resources.files("transducer") / MODELS / name)))
    folder = Path(name_or_folder)
    if folder.is_dir():
        return Model(folder)
    bundled = ", ".join(models()) or "none"
    raise UsageError(f"unknown model {name!r}: it is neither a folder nor one of the bundled models ({bundled})")


class Model:
    """A model that is ready to run. Models are loaded by `transducer.load`.

    Attributes:
        name: of the folder it was loaded from.
        config: what it is made of.
        units: name -> tokenizer.
        rate: samples per second that streams take; None for a model that hears nothing.
        labels_video: whether it is for `label`, and not for `transcribe`.
        reads_words: whether it is for neither, but for `transducer.engine.readable`.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.name = folder.resolve().name
        self.network, self.units = load_checkpoint(folder)
        self.config: ModelConfig = self.network.config
        frontend = self.config.frontend
        sound = frontend.audio if isinstance(frontend, AudioVisualConfig) else frontend
        self.rate: int | None = sound.rate if isinstance(sound, LogMelConfig) else None
        self.reads_words = isinstance(frontend, WordsConfig)
        self.labels_video = not self.reads_words and not isinstance(frontend, LogMelConfig)
        self._packed = share_weights(self.network)
        pack_linears(self._packed)
        self._at_chunk = lru_cache(maxsize=4)(self._network_at_chunk)
        self._words = lru_cache(maxsize=1)(self._load_words)

    @property
    def chunks_ms(self) -> tuple[float, ...]:
        """The chunk sizes that the model was trained for, in milliseconds; of video at 25 frames a second."""
        return tuple(chunk * self._frame_ms for chunk in self.config.chunks)

    def decoder(
        self,
        search: str | None = None,
        beam: int | None = None,
        chunk_ms: float | None = None,
        nbest: int = 0,
        endpoint: EndpointRules | None = None,
        hotwords: Hotwords = (),
    ) -> Decoder:
        """What streams are made of; build it once and share it.

        Args:
            search: "greedy" or "beam"; the model's own choice by default.
            beam: hypotheses that a beam search keeps.
            chunk_ms: how much sound is decoded at a time: the latency. A multiple of the model's frame.
            nbest: alternatives that final segments bring along.
            endpoint: when a segment ends.
            hotwords: words and phrases to be expected, with weights (3 to 8 is a lot); beam search only.

        Raises:
            UsageError: an option that this model does not have, or a model for video.
        """
        self._refuse_media()
        if self.labels_video:
            raise UsageError(
                f"the model {self.name} labels video and transcribes nothing: use label, or a model of speech such as "
                f"{BUNDLED_SPEECH}"
            )
        chunk = self._chunk_frames(chunk_ms)
        network = self._at_chunk(chunk)
        search = search or self.config.decoding.search
        words = self._words() if search == "beam" else None  # megabytes, which a greedy search has no use for
        head, segment_search = build_segment_search(network, self.units, search, beam, nbest, endpoint, words, hotwords)
        stages = Serial(network.frontend, network.encoder, network.heads[head])
        if chunk % network.heads[head].stride:
            step = network.heads[head].stride * self._frame_ms
            raise UsageError(f"{search} search with the model {self.name} needs chunks of a multiple of {step:g} ms")
        return Decoder(stages, segment_search, self.rate, chunk * network.hop)

    def stream(
        self,
        source: Any,
        *,
        search: str | None = None,
        beam: int | None = None,
        chunk_ms: float | None = None,
        nbest: int = 0,
        raw: RawFormat | tuple[str, int, int] | None = None,
        endpoint: EndpointRules | None = None,
        hotwords: Hotwords = (),
    ) -> Session:
        """Follow a source: an iterator of segments, partial and final, and a context manager.

        Args:
            source: a path, an address, "-" or an open binary file, or an iterable of float32 mono arrays at the
                model's rate.
            raw: the format of a source of bare samples, such as ("s16le", 16000, 1).
            search, beam, chunk_ms, nbest, endpoint, hotwords: see `decoder`.

        Raises:
            MediaError: the source cannot be read or holds no sound. UsageError: it is no source, or an option
                does not fit. Both may also come while iterating.
        """
        decoder = self.decoder(search, beam, chunk_ms, nbest, endpoint, hotwords)
        if raw is not None and not isinstance(raw, RawFormat):
            raw = RawFormat(*raw)
        return Session(Stream(decoder), open_audio(source, self.rate, raw))

    def transcribe(self, source: Any, **options: Any) -> Transcript:
        """The whole transcript of a source; the options are those of `stream`."""
        with self.stream(source, **options) as session:
            segments = tuple(segment for segment in session if segment.final)
            return Transcript(segments, session.position, session.name, self.config.language, tuple(session.warnings))

    def live(self, **options: Any) -> Stream:
        """A stream to push samples into by hand; the options are those of `decoder`."""
        return Stream(self.decoder(**options))

    def batch(self, capacity: int, **options: Any) -> StreamBatch:
        """Room for many streams in one step; the options are those of `decoder`."""
        return StreamBatch(self.decoder(**options), capacity)

    def labeller(self, threshold: float | None = None) -> Labeller:
        """What label streams are made of; build it once and share it.

        Args:
            threshold: probability from which on something is an event, 0 to 1; the model's own by default.

        Raises:
            UsageError: a threshold that makes no sense, or a model for sound.
        """
        self._refuse_media()
        if not self.labels_video:
            raise UsageError(
                f"the model {self.name} transcribes sound and sees nothing: use transcribe, or a model of video such "
                f"as {BUNDLED_VIDEO}"
            )
        from transducer.engine.labelling import build_labeller

        return build_labeller(self._at_chunk(self._chunk_frames(None)), self.units, threshold)

    def label_stream(
        self,
        source: Any,
        *,
        threshold: float | None = None,
        frames: bool = False,
        fps: float | None = None,
        block: int | None = None,
    ) -> LabelSession:
        """Follow a video: an iterator of events as they become certain, and a context manager.

        Args:
            source: a path, an address, "-" or an open binary file, or pictures: an iterable of uint8 (H, W, 3)
                arrays, RGB, or one array (T, H, W, 3).
            threshold: see `labeller`.
            frames: the session's `result` has the probabilities of every frame, too.
            fps: frames per second of pictures, 25 if not given.
            block: frames to work on at a time; many for files and few for live sources by default.

        Raises:
            MediaError: the source cannot be read or holds no pictures. UsageError: it is no source, or an option
                does not fit. Both may also come while iterating.
        """
        from transducer.engine.label_session import open_session

        labeller = self.labeller(threshold)
        return open_session(labeller, source, fps, frames, block, self.config.decoding.fast_decoding)

    def label(self, source: Any, **options: Any) -> Labelling:
        """All events of a video and the scenes between them; the options are those of `label_stream`."""
        with self.label_stream(source, **options) as session:
            for _ in session:
                pass
            return session.result()

    def label_live(self, *, threshold: float | None = None, fps: float = 25, block: int = 1) -> LabelStream:
        """A stream to push frames into by hand.

        Args:
            threshold: see `labeller`.
            fps: frames per second, for times in seconds.
            block: frames to work on at a time.
        """
        from transducer.engine.labelling import LabelStream

        return LabelStream(self.labeller(threshold), fps, block)

    def info(self) -> dict[str, Any]:
        """What people want to know of a model; the card's entries come last."""
        facts = {
            "name": self.name,
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "size_bytes": sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()),
        }
        described = {"language": self.config.language, "defaults": settings(self.config.decoding)}
        if self.config.events is not None:
            described["events"] = settings(self.config.events)
        described = {name: value for name, value in described.items() if value}
        if self.reads_words:
            words = {
                "vocabulary_words": self.config.frontend.words - 1,
                "look_ahead_words": self.network.encoder.lookahead,
            }
            return {**facts, **words, **described, **self.config.card}
        if self.labels_video:
            return {**facts, **self.labeller().facts(), **described, **self.config.card}
        return {
            **facts,
            "rate_hz": self.rate,
            "stride_ms": self._frame_ms,
            "chunk_ms": self._chunk_frames(None) * self._frame_ms,
            "chunks_ms": list(self.chunks_ms),
            "latency_ms": self.decoder("greedy").latency * 1000,
            **described,
            **self.config.card,
        }

    def _refuse_media(self) -> None:
        if self.reads_words:
            raise UsageError(f"the model {self.name} reads words and no media: see transducer transcribe --punctuate")

    @property
    def _frame_ms(self) -> float:
        return self.network.hop * (40.0 if self.labels_video else 1000 / self.rate)

    def _chunk_frames(self, chunk_ms: float | None) -> int:
        """A chunk in encoder frames; the model's default for None."""
        if chunk_ms is None:
            chunk_ms = self.config.decoding.chunk_ms
        if chunk_ms is None:
            return self.config.chunks[len(self.config.chunks) // 2]
        frames = round(chunk_ms / self._frame_ms)
        if frames < 1 or abs(frames * self._frame_ms - chunk_ms) > 1e-6:
            raise UsageError(
                f"a chunk of {chunk_ms:g} ms is no multiple of the model's frame of {self._frame_ms:g} ms; "
                f"the model was trained for chunks of {', '.join(f'{ms:g}' for ms in self.chunks_ms)} ms"
            )
        return frames

    def _load_words(self) -> WordModel | None:
        folder = self.folder / WORDS
        if not folder.is_dir():
            return None
        return WordModel.load(folder, self.units)

    def _network_at_chunk(self, chunk: int) -> Network:
        network = share_weights(self._packed)
        network.set_chunk(chunk)
        return network
