"""One label for an image: handwritten digits, or shapes that are drawn here.

    transducer train pipelines/image_labels.py --output runs/digits                       # needs scikit-learn
    transducer train pipelines/image_labels.py --output runs/shapes --set images=shapes
    transducer predict runs/shapes/labels drawing.png

An image is a video of one frame. What is measured was never trained on; `--set part=dev` while settings are tuned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transducer.cores.independent import IndependentConfig
from transducer.data.pairs import Pair
from transducer.encoders.frame_cnn import FrameCNNConfig
from transducer.errors import UsageError
from transducer.frontends.frames import FramesConfig
from transducer.heads.pooled import PooledConfig
from transducer.media.video.opencv import load_opencv
from transducer.model.config import ModelConfig
from transducer.search.events.rules import EventRules
from transducer.text.tokenizers.labels import Labels
from transducer.training.objectives import HeadLoss
from transducer.training.recipe import Phase, Recipe

SIDE = 32  # pixels
SHAPES = ("circle", "cross", "ring", "square", "star", "triangle")
DIGITS = tuple(str(digit) for digit in range(10))
PARTS = {"train": 0, "dev": 1, "test": 2}


def recipe(
    data: Path,
    quick: bool = False,
    *,
    images: str = "digits",
    part: str = "test",
    held_out: int = 1000,
    channels: int = 96,
    steps: int = 500,
    batch_frames: int = 64,
    learning_rate: float = 4e-3,
    seed: int = 1,
) -> Recipe:
    """A small CNN, and layers for which there is no time.

    Args:
        data: is not read.
        images: "digits" of scikit-learn (1797 of 8 x 8 pixels), or "shapes".
        part: what is measured, "dev" or "test". held_out: images of it, at most.
    """
    if part not in ("dev", "test") or images not in ("digits", "shapes"):
        raise UsageError(f"images={images}, part={part}: there are digits and shapes, dev and test")
    labels = Labels(DIGITS if images == "digits" else SHAPES)
    find = digits if images == "digits" else shapes
    x, y = find("train", 200 if quick else 4000)
    held, right = find(part, 50 if quick else held_out)
    phase = Phase(
        "train",
        20 if quick else steps,
        (HeadLoss("labels"),),
        batch_frames=batch_frames,
        learning_rate=learning_rate,
        warmup=20,
        average_decay=0.98,
    )
    return Recipe(
        name="labels",
        model=ModelConfig(
            frontend=FramesConfig(SIDE, SIDE),
            encoder=FrameCNNConfig((16, 32, 64), grid=(4, 4), shift=0.0, difference=False, dropout=0.1),
            core=IndependentConfig(channels, 2 * channels, 1, 0.1),
            heads={"labels": PooledConfig("labels")},
            events=EventRules("clip"),
            chunks=(1,),
        ),
        units={"labels": labels},
        train=Images(x, [labels.id(name) for name in y], moved=True, title=images),
        dev=Images(held, [labels.id(name) for name in right], title=f"other {images} ({part})"),
        phases=(phase,),
        seed=seed,
        workers=0,
        evaluate_every=100,
        save_every=200,
    )


class Images:
    """A `PairSource` of pictures (N, H, W, 3) uint8 and the numbers of their labels.

    With `moved`, each is shifted by up to a tenth and turned by up to 12 degrees, anew every time.
    """

    def __init__(self, pictures: np.ndarray, labels: list[int], moved: bool = False, title: str = ""):
        self.pictures, self.labels, self.moved, self.title = pictures, labels, moved, title
        self.lengths = np.ones(len(labels), np.int64)
        self.fingerprint = f"{title} {len(labels)} {int(pictures.sum(dtype=np.int64))}"

    def __len__(self) -> int:
        return len(self.labels)

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        picture = self.pictures[index]
        if self.moved:
            cv2 = load_opencv()
            matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-12, 12), rng.uniform(0.9, 1.1))
            matrix[:, 2] += rng.uniform(-0.1, 0.1, 2) * SIDE
            picture = cv2.warpAffine(picture, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        return Pair(picture.reshape(1, -1), self.labels[index], f"image {index}")


def digits(part: str, most: int) -> tuple[np.ndarray, list[str]]:
    """Those of scikit-learn, white on black: a sixth of them for "dev", another one for "test"."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UsageError(
            "the digits come with scikit-learn: pip install scikit-learn, or --set images=shapes"
        ) from None
    cv2 = load_opencv()
    found = load_digits()
    place = np.random.default_rng(0).permutation(len(found.images)) % 6  # the last two are held out
    chosen = np.flatnonzero(place < 4 if part == "train" else place == 3 + PARTS[part])[:most]
    pictures = [
        cv2.resize((image * 255 / 16).astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        for image in found.images[chosen]
    ]
    return np.stack(pictures)[..., None].repeat(3, axis=3), [str(digit) for digit in found.target[chosen]]


def shapes(part: str, count: int) -> tuple[np.ndarray, list[str]]:
    """So many shapes of any size, colour and turn, on a noisy ground that is darker."""
    rng = np.random.default_rng(PARTS[part])
    names = [SHAPES[int(number)] for number in rng.integers(len(SHAPES), size=count)]
    return np.stack([draw(name, rng) for name in names]), names


def draw(name: str, rng: np.random.Generator) -> np.ndarray:
    """One shape, drawn four times as large and made smaller: (SIDE, SIDE, 3) uint8."""
    cv2 = load_opencv()
    ground, colour = rng.integers(0, 120, 3), rng.integers(100, 256, 3)
    while (colour - ground).sum() < 120:
        colour = rng.integers(100, 256, 3)
    size = 4 * SIDE
    picture = np.broadcast_to(ground, (size, size, 3)).astype(np.uint8).copy()
    radius, turn = rng.uniform(0.2, 0.42) * size, rng.uniform(0, 2 * np.pi)
    middle = size / 2 + rng.uniform(-1, 1, 2) * (size / 2 - radius)
    paint = tuple(int(value) for value in colour)
    if name in ("circle", "ring"):
        width = -1 if name == "circle" else max(4, int(radius / 3))
        cv2.circle(picture, tuple(middle.astype(int).tolist()), int(radius * 0.85), paint, width)
    else:
        cv2.fillPoly(picture, [np.rint(middle + radius * corners(name, turn)).astype(np.int32)], paint)
    picture = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.clip(picture + rng.normal(0, rng.uniform(0, 15), picture.shape), 0, 255).astype(np.uint8)


def corners(name: str, turn: float) -> np.ndarray:
    """(N, 2) of a polygon around 0, the furthest at a distance of 1."""
    if name == "cross":
        arm = np.array([[1, 0.3], [0.3, 0.3], [0.3, 1]])
        points = np.concatenate([arm @ rotation(quarter * np.pi / 2).T for quarter in (0, 1, 2, 3)]) / np.hypot(1, 0.3)
    else:
        count = {"square": 4, "star": 10, "triangle": 3}[name]
        angle = np.arange(count) * 2 * np.pi / count
        distance = np.where(np.arange(count) % 2, 0.4, 1.0) if name == "star" else np.ones(count)
        points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * distance[:, None]
    return np.asarray(points @ rotation(turn).T)


def rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
