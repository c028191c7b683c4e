"""The public face of a model: transcribe a source, or follow it while it plays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from transducer.checkpoint import CONFIG, WORDS, load_checkpoint
from transducer.config import ModelConfig
from transducer.errors import UsageError
from transducer.media.audio import AudioReader, open_audio
from transducer.media.sources import RawFormat
from transducer.model import Network
from transducer.packing import pack_linears
from transducer.results import Segment, Transcript
from transducer.search.build import Hotwords, build_segment_search
from transducer.search.endpoint import EndpointRules
from transducer.search.word_model import WordModel, read_config
from transducer.sequence import Serial, set_chunk, share_weights
from transducer.streaming import Decoder, Stream, StreamBatch

MODELS = "checkpoints"


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
        rate: samples per second that streams take.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.name = folder.resolve().name
        self.network, self.units = load_checkpoint(folder)
        self.config: ModelConfig = self.network.config
        self.rate = self.config.frontend.rate
        self._packed = share_weights(self.network)
        pack_linears(self._packed)
        self._at_chunk = lru_cache(maxsize=4)(self._network_at_chunk)
        self._words = lru_cache(maxsize=1)(self._load_words)

    @property
    def chunks_ms(self) -> tuple[float, ...]:
        """The chunk sizes that the model was trained for, in milliseconds."""
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
            UsageError: an option that this model does not have.
        """
        chunk = self._chunk_frames(chunk_ms)
        network = self._at_chunk(chunk)
        search = search or self._defaults.get("search", "greedy")
        words = self._words() if search == "beam" else None  # megabytes, which a greedy search has no use for
        head, segment_search = build_segment_search(network, self.units, search, beam, nbest, endpoint, words, hotwords)
        stages = Serial(network.frontend, network.encoder, network.decoders[head])
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
            language = self.config.card.get("language", "")
            return Transcript(segments, session.position, session.name, language, tuple(session.warnings))

    def live(self, **options: Any) -> Stream:
        """A stream to push samples into by hand; the options are those of `decoder`."""
        return Stream(self.decoder(**options))

    def batch(self, capacity: int, **options: Any) -> StreamBatch:
        """Room for many streams in one step; the options are those of `decoder`."""
        return StreamBatch(self.decoder(**options), capacity)

    def info(self) -> dict[str, Any]:
        """What people want to know of a model; the card's entries come last."""
        return {
            "name": self.name,
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "size_bytes": sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()),
            "rate_hz": self.rate,
            "stride_ms": self._frame_ms,
            "chunk_ms": self._chunk_frames(None) * self._frame_ms,
            "chunks_ms": list(self.chunks_ms),
            "latency_ms": self.decoder("greedy").latency * 1000,
            **self.config.card,
        }

    @property
    def _defaults(self) -> dict[str, Any]:
        return self.config.card.get("defaults", {})

    @property
    def _frame_ms(self) -> float:
        return self.network.hop * 1000 / self.rate

    def _chunk_frames(self, chunk_ms: float | None) -> int:
        """A chunk in encoder frames; the model's default for None."""
        if chunk_ms is None:
            chunk_ms = self._defaults.get("chunk_ms")
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
        return WordModel.load(folder, self.units[read_config(folder).units])

    def _network_at_chunk(self, chunk: int) -> Network:
        network = share_weights(self._packed)
        set_chunk(network, chunk)
        return network


class Session:
    """A source on its way through a model: iterate over it for segments.

    Attributes:
        latency: algorithmic, in seconds.
        name: of the source.
        position: seconds heard so far.
        duration: seconds of the whole, as far as it is known.
        warnings: what could not be read, and where; grows on the way.
    """

    def __init__(self, stream: Stream, audio: AudioReader):
        self._stream, self._audio = stream, audio
        self._segments = self._run()

    @property
    def latency(self) -> float:
        return self._stream.latency

    @property
    def name(self) -> str:
        return self._audio.name

    @property
    def position(self) -> float:
        return self._audio.position

    @property
    def duration(self) -> float | None:
        return self._audio.duration

    @property
    def warnings(self) -> list[str]:
        return self._audio.warnings

    def _run(self) -> Iterator[Segment]:
        block = self._stream.decoder.block
        for samples in self._audio:
            # A packet may be hours long: results should not wait for all of it.
            for start in range(0, len(samples), block):
                yield from self._stream.push(samples[start : start + block])
        yield from self._stream.finish()

    def __iter__(self) -> Iterator[Segment]:
        return self

    def __next__(self) -> Segment:
        return next(self._segments)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the source; may be called twice."""
        self._segments.close()
        self._audio.close()
