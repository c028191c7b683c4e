"""A cache of log-mel features on disk: computed once, read by memory map.

On a small machine the decoding, resampling and Fourier transforms of training data cost as much as the training.
They are the same every epoch, so they are done once for a few variants of each recording (speeds, simulated
rooms); what is cheap in the feature domain is left to `transducer.data.augment.features`.

A cache is a folder named by a hash of everything that its contents depend on:

    features-<key>/
        features.bin        float16, (all frames, bins), one variant of one utterance after the other
        index.jsonl         a line for each utterance: id, frames of each variant
        store.json          the configuration
        utterances.jsonl    the items that it was built from

It is written under the name `<key>.partial`, by one process at a time, and renamed when complete. A build that was
broken off goes on where it stopped.
"""

import fcntl
import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from transducer.data.augment.codecs import through_codec
from transducer.data.augment.waveform import reverberate
from transducer.data.item import Item
from transducer.data.item_file import read_items, write_items
from transducer.errors import UsageError
from transducer.media.audio.reader import read_audio_at

if TYPE_CHECKING:
    from transducer.frontends.logmel import LogMel, LogMelConfig

T = TypeVar("T")

FORMAT = 3
Variant = tuple[str, float]
SPEEDS: tuple[Variant, ...] = (("speed", 0.9), ("speed", 1.0), ("speed", 1.1))


@dataclass(frozen=True)
class FeatureConfig:
    """What is computed. Rate in Hz, window, hop and fft in samples, see `LogMel`.

    A variant is `("speed", factor)`; or, at speed 1, `("reverb", seed)`, in a room drawn from the seed and the
    utterance's id, or `("codec", seed)`, through a codec or telephone drawn from them.
    """

    rate: int = 16000
    bins: int = 80
    window: int = 400
    hop: int = 160
    low_hz: float = 20.0
    fft: int = 0
    variants: tuple[Variant, ...] = SPEEDS

    def __post_init__(self) -> None:
        if not self.variants:
            raise UsageError("a feature store needs at least one variant, such as ('speed', 1.0)")
        for kind, value in self.variants:
            if kind not in ("speed", "reverb", "codec"):
                raise UsageError(f"unknown variant {kind!r}: there are 'speed', 'reverb' and 'codec'")
            if kind == "speed" and not 0.25 <= value <= 4:
                raise UsageError(f"speed {value} is outside 0.25 to 4")


def feature_config(frontend: "LogMelConfig", variants: tuple[Variant, ...] = SPEEDS) -> FeatureConfig:
    """What a front-end takes. Raises UsageError where it has settings that features are not cached with."""
    default = type(frontend)()
    if frontend.floor != default.floor:
        raise UsageError("features are cached with the front-end's default floor: leave it in the recipe")
    return FeatureConfig(
        frontend.rate, frontend.bins, frontend.window, frontend.hop, frontend.low_hz, frontend.fft, variants
    )


class FeatureStore:
    """Log-mel features of a list of utterances in one or more variants.

    Attributes:
        utterances: list of Item.
        config: FeatureConfig.
        speeds: (V,) float64, the speed of each variant: a time t of the recording is t / speed in it.
        frames: (N, V) int64, the length of each utterance in each variant.
    """

    def __init__(self, folder: str | Path):
        """Open a finished cache. Raises UsageError where the folder is none."""
        self.folder = Path(folder)
        try:
            description = json.loads((self.folder / "store.json").read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.folder}: not a finished feature cache; build it anew") from error
        if description["format"] != FORMAT:
            raise UsageError(f"{self.folder}: cache format {description['format']}, not {FORMAT}; build it anew")
        config = description["config"]
        config["variants"] = tuple((kind, value) for kind, value in config["variants"])
        self.config = FeatureConfig(**config)
        self.utterances = read_items(self.folder / "utterances.jsonl")
        self.speeds = np.array([value if kind == "speed" else 1.0 for kind, value in self.config.variants])
        self.frames = np.array([frames for _, frames in _read_index(self.folder / "index.jsonl")], dtype=np.int64)
        ends = np.cumsum(self.frames.reshape(-1))
        self._starts = (ends - self.frames.reshape(-1)).reshape(self.frames.shape)
        data = np.memmap(self.folder / "features.bin", dtype=np.float16, mode="r")
        if len(data) != ends[-1] * self.config.bins or len(self.utterances) != len(self.frames):
            raise UsageError(f"{self.folder}: the feature cache is damaged; delete it and build it anew")
        self._data = data.reshape(-1, self.config.bins)

    def __len__(self) -> int:
        return len(self.utterances)

    def features(self, utterance: int, variant: int = 0) -> np.ndarray:
        """The features of one utterance, by its position: (frames, bins) float16, a read-only view of the file."""
        start = self._starts[utterance, variant]
        return self._data[start : start + self.frames[utterance, variant]]

    def statistics(self, utterances: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each bin, (bins,) float32 each, over a sample of the utterances."""
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(self))[:utterances]
        count, total, squares = 0, np.zeros(self.config.bins), np.zeros(self.config.bins)
        for index in np.sort(chosen):
            frames = self.features(index, int(rng.integers(len(self.speeds)))).astype(np.float64)
            count, total, squares = count + len(frames), total + frames.sum(0), squares + (frames**2).sum(0)
        mean = total / max(1, count)
        deviation = np.sqrt(np.maximum(squares / max(1, count) - mean**2, 1e-6))
        return mean.astype(np.float32), deviation.astype(np.float32)

    @classmethod
    def build(
        cls,
        utterances: Sequence[Item],
        root: str | Path,
        config: FeatureConfig | None = None,
        *,
        workers: int = 2,
        progress: bool = True,
    ) -> "FeatureStore":
        """Open the cache of these utterances below `root`; compute it first where it isn't there.

        Args:
            utterances: what to compute; ids must be unique.
            root: the folder that holds caches; it is made.
            config: FeatureConfig() where None.
            workers: processes; 1 computes in this one. (More than 1 starts processes by spawning: call it below
                `if __name__ == "__main__":`.)
            progress: whether to draw a progress bar on standard error.

        Raises:
            UsageError: no utterances, or an id twice. MediaError: a recording cannot be decoded.
        """
        config = config or FeatureConfig()
        if not utterances:
            raise UsageError("a feature store needs at least one utterance")
        if len({utterance.id for utterance in utterances}) < len(utterances):
            raise UsageError("utterance ids are not unique: the tables overlap")
        key = _key(utterances, config)
        final = Path(root) / f"features-{key}"
        if final.is_dir():
            return cls(final)
        partial = Path(root) / f"{key}.partial"
        partial.mkdir(parents=True, exist_ok=True)
        with open(partial / "features.bin", "ab") as data:
            fcntl.flock(data, fcntl.LOCK_EX)  # of several processes that want this cache, the others wait here
            if final.is_dir():
                return cls(final)
            write_items(partial / "utterances.jsonl", utterances)
            done = _recover(partial, config)
            todo = utterances[done:]
            results = _compute(todo, config, workers)
            with open(partial / "index.jsonl", "a") as index:
                for utterance, variants in zip(todo, _watch(results, len(utterances), done, progress), strict=True):
                    for features in variants:
                        data.write(features.tobytes())
                    # The index must never name features that are not in the file: they go out first.
                    data.flush()
                    index.write(json.dumps({"id": utterance.id, "frames": [len(f) for f in variants]}) + "\n")
                    index.flush()
            os.fsync(data.fileno())
            (partial / "store.json").write_text(json.dumps({"format": FORMAT, "config": asdict(config)}, indent=1))
            partial.rename(final)
        return cls(final)


def utterance_features(utterance: Item, config: FeatureConfig, frontend: "LogMel") -> list[np.ndarray]:
    """Decode one recording, as it is decoded in use, and compute every variant: a list of (frames, bins) float16."""
    import torch

    speeds = [value if kind == "speed" else 1.0 for kind, value in config.variants]
    # Fewer samples per second, played at the usual rate, are faster: speed is changed in the same step as the rate.
    rates = [round(config.rate / speed) for speed in speeds]
    result = []
    for (kind, value), samples in zip(config.variants, read_audio_at(utterance.path, rates), strict=True):
        if kind != "speed":
            drawn = hashlib.sha256(f"{value} {utterance.id}".encode()).digest()
            rng = np.random.default_rng(int.from_bytes(drawn[:8], "little"))
            samples = (reverberate if kind == "reverb" else through_codec)(samples, config.rate, rng)
        x = torch.from_numpy(np.ascontiguousarray(samples))[None, :, None]
        with torch.inference_mode():
            features, _ = frontend(x, torch.ones(x.shape[:2], dtype=torch.bool))
        result.append(features[0].numpy().astype(np.float16))
    return result


def _frontend(config: FeatureConfig) -> "LogMel":
    from transducer.frontends.logmel import LogMel

    return LogMel(config.rate, config.bins, config.window, config.hop, config.low_hz, fft=config.fft).eval()


_worker: list[Any] = []


def _start_worker(config: FeatureConfig) -> None:
    import torch

    torch.set_num_threads(1)
    _worker[:] = [config, _frontend(config)]


def _work(utterance: Item) -> list[np.ndarray]:
    return utterance_features(utterance, *_worker)


def _compute(utterances: Sequence[Item], config: FeatureConfig, workers: int) -> Iterator[list[np.ndarray]]:
    if workers <= 1 or len(utterances) < 2 * workers:
        frontend = _frontend(config)
        for utterance in utterances:
            yield utterance_features(utterance, config, frontend)
        return
    # Spawned, not forked: this process may already run threads of the tensor library, which don't survive a fork.
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start_worker, (config,)) as pool:
        yield from pool.imap(_work, utterances, chunksize=4)


def _watch(results: Iterable[T], total: int, done: int, progress: bool) -> Iterator[T]:
    if not progress:
        yield from results
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("features"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) if total > done else nullcontext() as bar:
        task = bar.add_task("features", total=total, completed=done) if bar else None
        for result in results:
            yield result
            if bar and task is not None:
                bar.advance(task)


def _key(utterances: Sequence[Item], config: FeatureConfig) -> str:
    # A file's size stands for its contents: reading hours of media to open a cache would defeat it.
    digest = hashlib.sha256(json.dumps([FORMAT, asdict(config)]).encode())
    for utterance in utterances:
        size = utterance.path.stat().st_size if utterance.path.exists() else -1
        digest.update(json.dumps([utterance.id, size, utterance.text, utterance.speaker]).encode())
    return digest.hexdigest()[:16]


def _read_index(path: Path) -> list[tuple[str, list[int]]]:
    rows = []
    for line in path.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break  # broken off in the middle of this line
        row = json.loads(line)
        rows.append((row["id"], row["frames"]))
    return rows


def _recover(partial: Path, config: FeatureConfig) -> int:
    """Cut what a broken-off build left to its last complete utterance; the number of complete ones."""
    data, index = partial / "features.bin", partial / "index.jsonl"
    index.touch()
    width, size = config.bins * np.dtype(np.float16).itemsize, data.stat().st_size
    kept, end = [], 0
    for identity, frames in _read_index(index):
        if end + sum(frames) * width > size:
            break
        kept.append({"id": identity, "frames": frames})
        end += sum(frames) * width
    os.truncate(data, end)
    index.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return len(kept)
