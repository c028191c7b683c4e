"""Tables of recordings or clips and what is to be learned from them, or measured on them: one reader for all.

JSON lines have an item a line: its `path`, relative to the table's folder, and one of

    text        what is said or shown: a string, or a list of words; also called `words`
    events      [{"start": 1.2, "end": 1.9, "label": "swing"}, ...], seconds; or start_frame and end_frame, both
                included, from 0. An event without an end is a moment, one step.
    labels      a label for every step (a frame of a picture): a list, or names in one string
    label       one label for the whole

or none of them, such as noise. Tables with columns are parted by tabs, commas or semicolons. They have `text`,
`labels` or `label`, one row each; or a row for every event: clip, start, end, label (or start_frame, end_frame). There,
a row with neither times nor label is a clip in which nothing happens. Times are seconds, or 00:01:02.5.

All may have `id`, `seconds`, `speaker` and `split`, which says what is for training ("train") and what is held out
("dev"). Other columns are kept in `Item.extra`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from transducer.data.drafts import make_items
from transducer.data.item import Item
from transducer.data.rows import KINDS, KNOWN, nearest, read_rows, shown
from transducer.data.split import hold_out
from transducer.errors import UsageError


@dataclass(frozen=True)
class Table:
    """All items of a table, of one kind.

    Attributes:
        labels: those that occur, sorted, or words of texts; or those that were declared, in their order.
        warnings: about the table, a line each; for people.
    """

    path: Path
    items: tuple[Item, ...]
    labels: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """See `Item.kind`. Among texts there may be empty ones."""
        return next((item.kind for item in self.items if item.kind), "")

    @property
    def moments(self) -> bool:
        """Whether all events are moments."""
        events = [event for item in self.items for event in item.events or ()]
        return bool(events) and all(event.moment for event in events)

    def problem(self, line: int, text: str) -> UsageError:
        return UsageError(f"{self.path}, line {line}: {text}")

    def parts(self, share: float = 0.15) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
        """The items for training and those held out.

        As the table says, if it says so of any item: then those without a split are for training. Else a share is
        held out, see `transducer.data.split`.
        """
        if any(item.split for item in self.items):
            held = {item.id for item in self.items if item.split == "dev"}
        else:
            held = hold_out(self.items, share)
        train = tuple(item for item in self.items if item.id not in held)
        if not train:
            raise UsageError(f"{self.path}: all items are held out, none is left to train on")
        return train, tuple(item for item in self.items if item.id in held)

    def counts(self) -> dict[str, int]:
        """How often each label occurs (for labels of steps, in how many steps), those that were declared included."""
        found = Counter(name for item in self.items for name in item.names)
        return {label: found[label] for label in self.labels}

    def rare_labels(self) -> list[str]:
        """A warning for each label that only one or two items have: misspelt, or too little to learn from."""
        where: dict[str, list[Item]] = {}
        for item in self.items if self.kind != "text" else ():
            for name in set(item.names):
                where.setdefault(name, []).append(item)
        lines = []
        for label in self.labels:
            found = where.get(label, [])
            if len(found) in (1, 2) and len(where) > 1:
                count = "one item has" if len(found) == 1 else "two items have"
                near = nearest(label, [other for other in where if len(where[other]) > 2])
                place = ", ".join(str(_line(item, label)) for item in found)
                lines.append(f"{self.path}: only {count} the label {shown(label)!r} (line {place}){near}")
        return lines


def read_table(
    path: str | Path,
    *,
    labels: Sequence[str] = (),
    overlaps: str = "refuse",
    check_media: bool = True,
    needs: str | Collection[str] | None = None,
) -> Table:
    """Read and check a table; the files that it names are not opened.

    Without a column `id`, the id of an item is the file name without its ending, where that is unique in the table;
    else the path without its ending, or with it.

    Args:
        path: of the table, or of a folder with one table in it.
        labels: all that there are; a label that is not among them is an error. Those that occur, if empty.
        overlaps: "refuse" events that share a time with another one of the same item; with "later", their common
            steps belong to the one that starts later.
        check_media: whether every file has to exist.
        needs: what items must have: "text", "events", "labels", "label", or several that will do. Of a row with more
            than one kind, that one is taken.

    Raises:
        UsageError: in one line with the table's name and line: what is wrong, and with which item or event.
    """
    if overlaps not in ("refuse", "later"):
        raise UsageError(f"overlaps is {overlaps!r}: it must be 'refuse' or 'later'")
    wanted = (needs,) if isinstance(needs, str) else tuple(needs or ())
    table = _only_table(Path(path))
    items = make_items(read_rows(table), wanted, overlaps, check_media)
    found = {name for item in items for name in item.names}
    for item in items if labels else ():
        for name in item.names:
            if name not in labels:
                raise UsageError(
                    f"{table}, line {_line(item, name)}: unknown label {shown(name)!r}: there are {', '.join(labels)}"
                    + nearest(name, labels)
                )
    if not (found or labels) and items[0].kind in KINDS:
        raise UsageError(f"{table}: no clip has any label: there is nothing to learn")
    return Table(table, items, tuple(labels) or tuple(sorted(found)), _unused(table, items))


def _only_table(path: Path) -> Path:
    try:
        if not path.is_dir():
            return path
        found = sorted(entry for entry in path.iterdir() if entry.suffix in (".jsonl", ".csv", ".tsv"))
    except (OSError, ValueError):
        return path  # what is wrong with it shows when it is read
    if len(found) != 1:
        names = ", ".join(entry.name for entry in found) or "none"
        raise UsageError(f"{path}: a folder needs one table (.jsonl, .csv or .tsv), found {names}")
    return found[0]


def _line(item: Item, label: str) -> int:
    """Where a label stands."""
    return next((event.line for event in item.events or () if event.label == label), item.line)


def _unused(table: Path, items: Sequence[Item]) -> tuple[str, ...]:
    columns = sorted({name for item in items for name in item.extra if name != "source"})
    if not columns:
        return ()
    near = next(filter(None, (nearest(name.lower(), [k for k in KNOWN if k != name]) for name in columns)), "")
    return (f"{table}: not used: {shown(', '.join(columns))}{near}",)
