"""What may be chosen where a model is made of pairs alone; what is not chosen follows from the pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from transducer.data.rows import nearest
from transducer.errors import UsageError
from transducer.model.config import TAGS, CoreConfig, HeadConfig, PartConfig, import_parts
from transducer.training.settings import convert

Part = TypeVar("Part", bound=PartConfig)

# Names that people use -> tag of the part, and its settings.
CORES = {
    "rnn": ("recurrent", {"kind": "rnn"}),
    "lstm": ("recurrent", {"kind": "lstm"}),
    "gru": ("recurrent", {"kind": "gru"}),
    "birnn": ("bidirectional", {"kind": "rnn"}),
    "bilstm": ("bidirectional", {"kind": "lstm"}),
    "bigru": ("bidirectional", {"kind": "gru"}),
}
SPELLINGS = ("characters", "words", "bytes", "subwords")


@dataclass(frozen=True)
class Choices:
    """None, or nothing, leaves a choice to the data.

    Attributes:
        task: "n2n" (a label a step), "n21" (one label), "n2m" (a sequence of another length).
        input: the kind of x: "text", "series", "image", "sound", "video"; or what a step
            of text is: one of `SPELLINGS`.
        output: what texts are written in, one of `SPELLINGS`; or what numbers as y are, "numbers" or "labels".
        x, y: names of the columns.
        core, head: tags of parts, or names of `CORES`.
        attention: of an attention decoder; all but "multihead" go with a recurrent one.
        channels, layers: of the core.
        steps: of the optimizer, at most; patience: evaluations without progress after which it stops, 0 for never.
        held_out: share of the pairs to measure on, where the table has no column `split`.
        settings: of parts, by "core.NAME", "head.NAME", "encoder.NAME", "frontend.NAME".
    """

    task: str | None = None
    input: str | None = None
    output: str | None = None
    x: str | None = None
    y: str | None = None
    core: str | None = None
    head: str | None = None
    attention: str | None = None
    channels: int | None = None
    layers: int | None = None
    steps: int | None = None
    patience: int = 8
    held_out: float = 0.15
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def given(self) -> list[str]:
        """Names of what was chosen among the options of `train` that are for pairs alone."""
        plain = Choices()
        return [
            item.name
            for item in dataclasses.fields(self)
            if item.name != "settings" and getattr(self, item.name) != getattr(plain, item.name)
        ]

    @property
    def spelling(self) -> str | None:
        """Of the input, where that is text."""
        return self.input if self.input in SPELLINGS else None

    def part(self, slot: str, kind: type[Part], name: str, **usual: Any) -> Part:
        """A part by its name, with the usual settings that it has, and those that were chosen for this slot.

        Raises:
            UsageError: there is no such part, it has no such setting, or a value makes no sense.
        """
        tag, fixed = CORES.get(name, (name.replace("-", "_"), {})) if slot == "core" else (name, {})
        found = _parts(kind).get(tag)
        if found is None:
            there = sorted({*_parts(kind), *(CORES if slot == "core" else ())})
            raise UsageError(f"unknown {slot} {name!r}: there are {', '.join(there)}{nearest(name, there)}")
        hints = get_type_hints(found, localns={each.__name__: each for each in TAGS.values()})
        known = {item.name: hints[item.name] for item in dataclasses.fields(found)}  # type: ignore[arg-type]
        values = {key: value for key, value in {**usual, **fixed}.items() if key in known}
        for setting, value in self.settings.items():
            owner, _, key = setting.partition(".")
            if owner != slot:
                continue
            if key not in known:
                raise UsageError(f"--set {setting}: {name} has no {key!r}, but {', '.join(known)}")
            values[key] = convert(setting, value, known[key])
        try:
            return found(**values)
        except ValueError as error:
            raise UsageError(f"{slot} {name}: {error}") from None


def has_part(kind: type[PartConfig], tag: str) -> bool:
    """Whether there is a part of this kind."""
    return tag in _parts(kind)


def _parts(kind: type[Part]) -> dict[str, type[Part]]:
    import_parts()
    return {tag: found for tag, found in TAGS.items() if issubclass(found, kind)}


def core_names() -> list[str]:
    """What `--core` takes, for messages."""
    return sorted({*_parts(CoreConfig), *CORES})


def head_names() -> list[str]:
    """What `--head` takes, for messages."""
    return sorted(_parts(HeadConfig))
