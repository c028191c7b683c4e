"""What a model is made of, as frozen dataclasses that go to JSON and back.

A part's config class stands beside its module and registers itself under a tag, which is the value of "type" in JSON:

    @register("tcn")
    @dataclass(frozen=True)
    class TCNConfig(CoreConfig): ...

`from_json` is strict: an unknown tag or field, or a value of another type than its field, is an error and no guess.
"""

from __future__ import annotations

import dataclasses
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_type_hints

from transducer.errors import CheckpointError, UsageError
from transducer.model.typed_json import value_of, wrong

if TYPE_CHECKING:
    from transducer.encoders.segment import SegmentEncoder
    from transducer.heads.ctc import SelfConditioningConfig
    from transducer.heads.decoders.decoder import Decoder
    from transducer.heads.head import Head
    from transducer.media.medium import Medium
    from transducer.model.sequence import Streaming
    from transducer.search.events.rules import EventRules
    from transducer.text.tokenizers.tokenizer import Tokenizer

Units = Mapping[str, "Tokenizer"]
TAGS: dict[str, type] = {}  # of all classes that have registered themselves so far
# Where the others are, in this package.
PARTS = ("frontends", "encoders", "cores", "heads", "heads.decoders", "search.events.rules")
LONGEST_CHUNK = 8192  # encoder frames

Class = TypeVar("Class", bound=type)


def register(tag: str) -> Callable[[Class], Class]:
    """Make a config class known under a tag. Raises ValueError where another class has it."""

    def add(kind: Class) -> Class:
        known = TAGS.setdefault(tag, kind)
        if (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
            raise ValueError(f"the tag {tag!r} is taken by {known.__module__}.{known.__qualname__}")
        TAGS[tag] = kind
        kind.tag = tag  # type: ignore[attr-defined]
        return kind

    return add


def find(tag: str) -> type | None:
    """The class of a tag, None for an unknown one. Imports this package's parts if it has to."""
    if tag not in TAGS:
        import_parts()
    return TAGS.get(tag)


@lru_cache(maxsize=1)
def import_parts() -> None:
    """Import all parts of this package, which registers them."""
    for name in PARTS:
        part = import_module(f"transducer.{name}")
        for module in pkgutil.iter_modules(getattr(part, "__path__", ()), f"{part.__name__}."):
            import_module(module.name)


class PartConfig:
    """Of a part of a model."""

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Small ones of every kind that there is, which the tests hold to the contract.

        Those of heads may read a head "ctc" over the units "characters".
        """
        raise NotImplementedError(f"{cls.__name__} has no examples")


class FrontendConfig(PartConfig):
    """Of a front-end: from media to features."""

    def build(self) -> Streaming:
        """The front-end; its `inputs` is how many numbers a step of the media has."""
        raise NotImplementedError

    def medium(self, units: Units | None = None) -> Medium:
        """What its steps are, and how sources of them are read.

        Args:
            units: the model's tokenizers by name, for a front-end that reads tokens.
        """
        raise NotImplementedError


class EncoderConfig(PartConfig):
    """Of an encoder: from the features of a front-end to frames."""

    def build(self, frontend: Streaming, channels: int) -> Streaming:
        """The encoder of a front-end's features to so many channels. Raises ValueError where they do not fit."""
        raise NotImplementedError

    def misfit(self, frontend: Streaming) -> ValueError:
        """The error of a front-end whose features the encoder has no use for."""
        return ValueError(f"{type(self).__name__} does not encode the features of {type(frontend).__name__}")


class CoreConfig(PartConfig):
    """Of a sequence core: from frames to frames."""

    channels: int

    def build(self) -> list[Streaming]:
        """The layers, first to last."""
        raise NotImplementedError


class HeadConfig(PartConfig):
    """Of a head: from frames to what is searched.

    Attributes:
        units: name of the units that it writes, see `ModelConfig.units`.
    """

    units: str

    def build(self, channels: int, model: ModelConfig) -> Head:
        """The head on frames of so many channels, with `config` set."""
        raise NotImplementedError


class SegmentEncoderConfig(PartConfig):
    """Of an encoder that sees the whole of a segment, inside a head: see `SegmentHead`.

    Attributes:
        channels: of its outputs.
    """

    channels: int

    def build(self, features: int) -> SegmentEncoder:
        """The encoder of steps of so many features; it need not step."""
        raise NotImplementedError


class SegmentDecoderConfig(PartConfig):
    """Of a decoder that attends to what such an encoder makes of a segment."""

    def build(self, tokens: int, memory: int) -> Decoder:
        """The decoder of so many tokens, which attends to steps of so many channels."""
        raise NotImplementedError


@register("decoding")
@dataclass(frozen=True)
class DecodingConfig:
    """How a model is used where nobody says otherwise.

    Attributes:
        search: "greedy", "beam".
        beam: hypotheses that a beam search keeps; None for the search's own default.
        chunk_ms: milliseconds of media to work on at a time; None for the middle one of the model's `chunks`.
        time_shift: seconds to be added to where words begin and end.
        blank_window: frames around a token in which the blank must win before the same token may come again.
        renew_after: seconds in which nothing is heard after which the network remembers no more than the newest block,
            until something is: a state full of silence makes it miss first words. None for never.
        fast_decoding: videos may be decoded without the loop filter: faster, and a little less exact.
        second_pass: name of the full-context model that writes final segments anew; None for none.
        draft_beam: `beam` where another model writes the final segments, so that less care will do; None for `beam`.

    Raises:
        UsageError: a number that makes no sense.
    """

    search: str = "greedy"
    beam: int | None = None
    chunk_ms: float | None = None
    time_shift: float = 0.0
    blank_window: int | None = None
    renew_after: float | None = None
    fast_decoding: bool = False
    second_pass: str | None = None
    draft_beam: int | None = None

    def __post_init__(self) -> None:
        for beam in (self.beam, self.draft_beam):
            if beam is not None and beam < 1:
                raise UsageError(f"a beam needs at least 1 hypothesis, got {beam}")
        if self.chunk_ms is not None and not self.chunk_ms > 0:
            raise UsageError(f"a chunk must be longer than 0 ms, got {self.chunk_ms:g}")
        if self.renew_after is not None and not self.renew_after > 0:
            raise UsageError(f"a state is renewed after more than 0 seconds, got {self.renew_after:g}")
        if self.blank_window is not None and self.blank_window < 0:
            raise UsageError(f"a window of blanks cannot be negative, got {self.blank_window}")


def _plain(tag: str) -> Any:
    """The part of a tag with all its defaults."""
    return find(tag)()  # type: ignore[misc]


@register("model")
@dataclass(frozen=True)
class ModelConfig:
    """A whole model.

    Attributes:
        frontend, encoder: those for the same kind of media: `LogMelConfig` and `ConvSubsamplingConfig` for sound,
            `FramesConfig` and `FrameCNNConfig` for video, `AudioVisualConfig` and `FusionConfig` for both.
        core: one, or several in the order in which they follow each other, of the same `channels`.
        heads: by name. The first is the one that is used where nobody says otherwise.
        units: name of units -> number of tokens, the blank counted.
        conditioning: an intermediate head, or None.
        chunks: chunk sizes in encoder frames that the model was trained for.
        decoding: how it is used where nobody says otherwise.
        events: how events are made of its outputs; None for the usual rules of its head.
        language: of what it writes, as a BCP 47 tag such as "en"; "" for none.
        card: what people want to know: what it was trained on, licences, measured figures. JSON data that no program
            reads; kept as it is.

    Raises:
        UsageError: chunks or names of units that make no sense.
    """

    frontend: FrontendConfig = field(default_factory=lambda: _plain("logmel"))
    encoder: EncoderConfig = field(default_factory=lambda: _plain("conv_subsampling"))
    core: CoreConfig | tuple[CoreConfig, ...] = field(default_factory=lambda: _plain("conformer"))
    heads: dict[str, HeadConfig] = field(default_factory=lambda: {"ctc": _plain("ctc")})
    units: dict[str, int] = field(default_factory=dict)
    conditioning: SelfConditioningConfig | None = None
    chunks: tuple[int, ...] = (8, 16, 32)
    decoding: DecodingConfig = DecodingConfig()
    events: EventRules | None = None
    language: str = ""
    card: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.chunks or not all(1 <= chunk <= LONGEST_CHUNK for chunk in self.chunks):
            raise UsageError(f"a model has chunks of 1 to {LONGEST_CHUNK} frames, got {list(self.chunks)}")
        for name in self.units:
            # It is the name of a folder, too.
            if not re.fullmatch(r"[\w-]+", name):
                raise UsageError(f"the name of units is made of letters, digits, _ and -, got {name!r}")

    def tokens(self, units: str) -> int:
        """How many tokens some units have, the blank counted. Raises ValueError where there are no such units."""
        if units not in self.units:
            raise ValueError(f"there are no units {units[:40]!r}, but {', '.join(self.units) or 'none'}")
        return self.units[units]

    @property
    def cores(self) -> tuple[CoreConfig, ...]:
        """The core or cores, first to last."""
        return self.core if isinstance(self.core, tuple) else (self.core,)


def settings(config: Any) -> dict[str, Any]:
    """The fields of a config that are not at their defaults, as JSON data: for people."""
    plain = type(config)()
    found = {item.name: getattr(config, item.name) for item in dataclasses.fields(config)}
    return {name: to_json(value) for name, value in found.items() if value != getattr(plain, name)}


def to_json(config: Any) -> Any:
    """A config as JSON data, with its class's tag under "type"."""
    if dataclasses.is_dataclass(config):
        values = {item.name: getattr(config, item.name) for item in dataclasses.fields(config)}
        # What people wrote is kept as it is, even if it looks like a part.
        verbatim = {"card"} if isinstance(config, ModelConfig) else set()
        fields = {name: value if name in verbatim else to_json(value) for name, value in values.items()}
        return {"type": type(config).tag, **fields}  # type: ignore[union-attr]
    if isinstance(config, Mapping):
        return {key: to_json(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [to_json(value) for value in config]
    return config


def from_json(data: Any, kind: type = object) -> Any:
    """The inverse of `to_json`, for data that has a tag; lists come back as tuples where the field is one.

    Args:
        kind: what it must be, a class or one of its subclasses.

    Raises:
        CheckpointError: unknown tags or fields, missing ones, values of other types; the message names them.
    """
    return _part(kind, data, "")


def _part(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise wrong(where, "a part with its type", data)
    tag = data["type"]
    found = find(tag)
    if found is None:
        raise CheckpointError(
            f"the config has a part of unknown type {tag[:40]!r}: it needs a newer version of transducer, or an import "
            "of the module that registers it"
        )
    if not issubclass(found, kind):
        raise wrong(where, f"a {kind.__name__}", tag)
    what, within = (f"{where} ({tag})", f"{where}.") if where else (tag, "")
    hints, fields = _hints(found), {key: value for key, value in data.items() if key != "type"}
    unknown = sorted(fields.keys() - hints.keys())
    if unknown:
        raise CheckpointError(
            f"the config's {what} has unknown fields {', '.join(unknown)[:200]}: it needs a newer version of transducer"
        )
    values = {name: value_of(hints[name], value, within + name, _part) for name, value in fields.items()}
    try:
        return found(**values)
    except TypeError as error:
        raise CheckpointError(f"the config's {what} is incomplete: {error}") from None
    except (UsageError, ValueError) as error:
        raise CheckpointError(f"the config's {what} makes no sense: {error}") from None


def _hints(kind: type) -> dict[str, Any]:
    """Field -> type. Classes of higher layers are found by their names among those that are registered."""
    try:  # of what is known: parts are much to import
        hints = get_type_hints(kind, localns={known.__name__: known for known in TAGS.values()})
    except NameError:
        import_parts()
        hints = get_type_hints(kind, localns={known.__name__: known for known in TAGS.values()})
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}
