"""`--split` and `--images`: a file a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from transducer.atomic import atomic_write
from transducer.cli.console import report
from transducer.cli.outputs import file_name
from transducer.cli.second_pass import TwoPasses, is_live
from transducer.cli.thumbnails import read_jpegs
from transducer.errors import MediaError, UsageError
from transducer.results import Labelling

OPTIONS = frozenset(("--split", "--images"))
QUALITY = 92  # of JPEG, 0 to 100


def check_scene_files(sources: Sequence[str], folders: Mapping[str, str]) -> None:
    """Raises UsageError if files of scenes, in these folders by their options, cannot be made of these sources."""
    for option in OPTIONS & folders.keys():
        if any(map(is_live, sources)):
            raise UsageError(f"{option} needs sources that can be read twice, and a live address cannot")


def write_images(passes: TwoPasses, labelling: Labelling, folder: str, stem: PurePosixPath) -> None:
    """FOLDER/STEM-001.jpg and so on: the frame in the middle of each scene, as large as the video."""
    path = partial(_path, folder, stem, ".jpg")
    numbers = {(scene.start_frame + scene.end_frame) // 2: k for k, scene in enumerate(labelling.segments)}
    for frame, jpeg in read_jpegs(passes.again, sorted(numbers), QUALITY):
        target = path(numbers[frame])
        try:
            with atomic_write(target, "wb") as file:
                file.write(jpeg)
        except OSError as error:
            raise MediaError(f"{target}: can't be written: {error.strerror}") from error


def write_scenes(passes: TwoPasses, labelling: Labelling, folder: str, stem: PurePosixPath, source: str) -> None:
    """FOLDER/STEM-001.mp4 and so on, in the kind of file that the source is, or else mkv."""
    from transducer.media.overlay.pictures import CONTAINERS
    from transducer.media.overlay.split import write_clips

    suffix = Path(file_name(source)).suffix
    suffix = suffix if suffix.lower() in CONTAINERS else ".mkv"
    for warning in write_clips(passes.again(), labelling.segments, partial(_path, folder, stem, suffix)):
        if warning not in labelling.warnings:
            report("warning", warning)


def _path(folder: str, stem: PurePosixPath, suffix: str, number: int) -> Path:
    path = Path(folder) / f"{stem}-{number + 1:03d}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
