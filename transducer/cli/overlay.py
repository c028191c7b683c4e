"""`--overlay`: a copy of a video that shows its labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transducer.cli.console import report
from transducer.cli.outputs import require_file_name
from transducer.cli.second_pass import TwoPasses, is_live
from transducer.errors import UsageError
from transducer.results import Labelling


def check_overlay(sources: Sequence[str], output: str) -> None:
    """Raises UsageError if no such copy can be made of these sources."""
    if len(sources) > 1:
        raise UsageError("--overlay makes a copy of one video: name one source")
    if is_live(sources[0]):
        raise UsageError("--overlay needs a source that can be read twice, and a live address cannot")
    from transducer.media.overlay.pictures import CONTAINERS

    require_file_name(Path(output), "--overlay", sources[0], CONTAINERS)


def make_overlay(passes: TwoPasses, labelling: Labelling, output: str) -> None:
    """Write the copy; what it lacks is reported."""
    from transducer.media.overlay.copy import write_overlay

    transitions = labelling.kind == "transitions"
    warnings = write_overlay(passes.again(), output, labelling.events, labelling.segments, transitions=transitions)
    for warning in warnings:
        if warning not in labelling.warnings:
            report("warning", warning)
