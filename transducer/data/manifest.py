"""Tables of recordings: JSON lines, or TSV with a header line.

Every row names a media file (`path`, relative to the table's own folder), and as a rule what is said in it (`text`).
`id`, `seconds` and `speaker` are understood when present; every other column is kept in `Utterance.extra`.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.errors import UsageError

KNOWN = ("id", "path", "seconds", "text", "speaker")


@dataclass(frozen=True)
class Utterance:
    """One recording. `seconds` is None where the table doesn't say; `extra` holds the columns not named here."""

    id: str
    path: Path
    seconds: float | None
    text: str
    speaker: str = ""
    extra: dict[str, Any] = field(default_factory=dict, hash=False)


def read_manifest(
    path: str | Path, *, columns: Sequence[str] = ("path", "text"), check_media: bool = True
) -> list[Utterance]:
    """Read a manifest, in the order of its rows.

    The id of a row is its `id` column; without one, the file name without its ending where that is unique in
    the table, else the path without its ending.

    Args:
        path: `.jsonl` (an object a line) or anything else as TSV with a header line; UTF-8.
        columns: what every row must have; `("path",)` for recordings without words, such as noise.
        check_media: whether every media file has to exist.

    Raises:
        UsageError: naming the table, and the line where there is one: no such table, no rows, a missing column,
            a row with another number of columns, seconds that are no duration, an id used twice, a missing file.
    """
    table = Path(path)
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"{table}: cannot read the manifest: {reason}") from error
    rows = _json_rows(table, text) if table.suffix in (".jsonl", ".json") else _tsv_rows(table, text, columns)

    checked: list[tuple[int, dict[str, Any]]] = []
    for line, row in rows:
        for column in columns:
            if row.get(column) is None:
                raise UsageError(f"{table}, line {line}: the row has no {column!r}")
        if not isinstance(row["path"], str) or not row["path"]:
            raise UsageError(f"{table}, line {line}: 'path' must be the name of a file")
        checked.append((line, row))
    if not checked:
        raise UsageError(f"{table}: the manifest has no rows")

    stems = [Path(row["path"]).stem for _, row in checked]
    unique = len(set(stems)) == len(stems)
    utterances: list[Utterance] = []
    seen: dict[str, int] = {}
    for (line, row), stem in zip(checked, stems, strict=True):
        identity = str(row.get("id") or (stem if unique else Path(row["path"]).with_suffix("").as_posix()))
        if identity in seen:
            raise UsageError(f"{table}, line {line}: id {identity!r} is already used on line {seen[identity]}")
        seen[identity] = line
        media = table.parent / row["path"]
        if check_media and not media.is_file():
            raise UsageError(f"{table}, line {line}: no such file: {media}")
        utterances.append(
            Utterance(
                id=identity,
                path=media,
                seconds=_seconds(table, line, row.get("seconds")),
                text=str(row.get("text") or ""),
                speaker=str(row.get("speaker") or ""),
                extra={key: value for key, value in row.items() if key not in KNOWN},
            )
        )
    return utterances


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write utterances as JSON lines; paths below the manifest's folder become relative to it."""
    table = Path(path)
    lines = []
    for utterance in utterances:
        media = utterance.path
        if media.is_relative_to(table.parent):
            media = media.relative_to(table.parent)
        elif not media.is_absolute():
            media = media.absolute()
        row: dict[str, Any] = {"id": utterance.id, "path": media.as_posix(), "text": utterance.text}
        if utterance.seconds is not None:
            row["seconds"] = utterance.seconds
        if utterance.speaker:
            row["speaker"] = utterance.speaker
        lines.append(json.dumps({**utterance.extra, **row}, ensure_ascii=False) + "\n")
    with atomic_write(table) as file:
        file.writelines(lines)


def _json_rows(table: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines(): JSON strings may hold U+2028 and other characters that it takes for line ends.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except json.JSONDecodeError as error:
            raise UsageError(f"{table}, line {line}: not JSON: {error.msg}") from error
        if not isinstance(row, dict):
            raise UsageError(f"{table}, line {line}: a row must be a JSON object")
        yield line, row


def _tsv_rows(table: Path, text: str, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = text.split("\n")
    header = lines[0].rstrip("\r").split("\t")
    for column in columns:
        if column not in header:
            raise UsageError(f"{table}, line 1: the header has no column {column!r}; it has: {', '.join(header)}")
    for line, content in enumerate(lines[1:], start=2):
        content = content.rstrip("\r")
        if not content:
            continue
        cells = content.split("\t")
        if len(cells) != len(header):
            raise UsageError(f"{table}, line {line}: {len(cells)} columns where the header has {len(header)}")
        yield line, dict(zip(header, cells, strict=True))


def _seconds(table: Path, line: int, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise UsageError(f"{table}, line {line}: {value!r} is no duration in seconds")
    return seconds
