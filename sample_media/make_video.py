"""Make shots.mp4, a short film of drawn scenes with every kind of transition, and shots.json, where they are.

The sound is that of two clips of this folder. From the project's folder:

    python -m sample_media.make_video
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np

from transducer.media import read_audio

FOLDER = Path(__file__).parent
NAME = "shots"
SEED = 4
FRAME_RATE = 25
WIDTH, HEIGHT = 320, 180
SOUNDS = ("island.wav", "letters.opus")
RATE = 48000

Scene = Callable[[float], np.ndarray]  # seconds from the start of the shot -> float32 (HEIGHT, WIDTH, 3), 0 to 255, RGB


def _texture(rng: np.random.Generator, height: int, width: int, cell: int, octaves: int = 4) -> np.ndarray:
    """Smooth noise, float32 (height, width) from 0 to 1, that joins at its left and right edges."""
    total, weight = np.zeros((height, width), np.float32), 1.0
    for _ in range(octaves):
        grid = rng.random((max(height // cell, 2), max(width // cell, 2)), dtype=np.float32)
        grid[:, -1] = grid[:, 0]
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight, cell = weight / 2, max(cell // 2, 2)
    return cv2.normalize(total, None, 0, 1, cv2.NORM_MINMAX)


def _gradient(top: tuple[int, int, int], bottom: tuple[int, int, int]) -> np.ndarray:
    share = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    rows = (1 - share) * np.float32(top) + share * np.float32(bottom)
    return np.repeat(rows, WIDTH, axis=1)


def _fill(image: np.ndarray, points: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A polygon with smooth edges; points (n, 2) as x, y in pixels."""
    cv2.fillPoly(image, [np.round(points * 16).astype(np.int32)], colour, cv2.LINE_AA, shift=4)


def _disc(image: np.ndarray, x: float, y: float, radius: float, colour: tuple[int, int, int]) -> None:
    cv2.circle(image, (round(x * 16), round(y * 16)), round(radius * 16), colour, -1, cv2.LINE_AA, shift=4)


def sea(rng: np.random.Generator) -> Scene:
    """A boat at dusk; the camera stands still."""
    water = _texture(rng, 80, 640, 12)

    def scene(t: float) -> np.ndarray:
        image = _gradient((60, 50, 110), (250, 150, 80))
        _disc(image, 230, 88, 22, (255, 220, 130))
        for row in range(80):
            shift = int(20 * t + 14 * np.sin(row / 5 + 2 * t))
            light = np.roll(water[row], shift)[:WIDTH, None]
            image[100 + row] = np.float32((30, 50, 90)) * (0.6 + 0.8 * light) + 90 * light**6
        x, y = 40 + 26 * t, 112 + 2 * np.sin(3 * t)
        _fill(image, np.array([[x, y], [x + 60, y], [x + 48, y + 14], [x + 10, y + 14]]), (40, 25, 30))
        _fill(image, np.array([[x + 28, y - 46], [x + 28, y - 3], [x + 58, y - 5]]), (235, 225, 210))
        _fill(image, np.array([[x + 25, y - 40], [x + 25, y - 3], [x + 4, y - 5]]), (200, 70, 60))
        return image

    return scene


def hills(rng: np.random.Generator) -> Scene:
    """Meadows and trees by day; the camera pans, what is near passes faster."""
    ridges = [_texture(rng, 4, 1280, 4 * cell, 3)[1] for cell in (40, 24, 14)]
    grass = _texture(rng, HEIGHT, 1280, 8)
    clouds = _texture(rng, 80, 1280, 40)
    trees = np.sort(rng.uniform(0, 1280, 14))

    def scene(t: float) -> np.ndarray:
        image = _gradient((90, 150, 220), (210, 230, 240))
        sky = np.roll(clouds, -int(12 * t), axis=1)[:, :WIDTH, None] ** 2
        image[:80] += (255 - image[:80]) * sky
        for depth, (ridge, base, speed) in enumerate(zip(ridges, (85, 105, 128), (20, 45, 90), strict=True)):
            near = (depth + 1) / 3
            shift = speed * t
            columns = (np.arange(WIDTH) + shift) % 1280
            tops = base - 26 * np.interp(columns, np.arange(1280), ridge)
            mask = np.arange(HEIGHT)[:, None] >= tops[None]
            shade = 0.7 + 0.5 * np.roll(grass, -int(shift), axis=1)[:, :WIDTH, None]
            colour = np.float32((60 + 40 * (1 - near), 125 - 25 * near, 50 + 70 * (1 - near))) * shade
            image = np.where(mask[:, :, None], colour, image)
        for tree in trees:
            x = (tree - 90 * t) % 1280 - 40
            if x < WIDTH + 30:
                _fill(image, np.array([[x - 3, 118], [x + 3, 118], [x + 3, 150], [x - 3, 150]]), (70, 50, 35))
                for dx, dy, radius in ((0, 100, 17), (-10, 110, 12), (11, 109, 13)):
                    _disc(image, x + dx, dy, radius, (35 + dx, 85 + dx, 30))
        return image.astype(np.float32)

    return scene


def room(rng: np.random.Generator) -> Scene:
    """A patterned wall and a turning mobile; the camera comes closer."""
    stains = _texture(rng, HEIGHT, WIDTH, 30)[:, :, None]

    def scene(t: float) -> np.ndarray:
        zoom = 1 + 0.12 * t
        x = (np.arange(WIDTH) - WIDTH / 2) / zoom
        y = (np.arange(HEIGHT) - HEIGHT / 2) / zoom
        pattern = 0.5 + 0.5 * np.sin(x[None] / 5) * np.sin(y[:, None] / 5 + np.sin(x[None] / 30))
        image = np.float32((150, 60, 70)) + np.float32((60, 70, 40)) * pattern[:, :, None].astype(np.float32)
        image *= 0.8 + 0.3 * stains
        for number, colour in enumerate(((240, 240, 220), (250, 200, 60), (60, 160, 200), (40, 40, 60))):
            angle = 1.3 * t * (1 if number % 2 else -1) + number
            cx = WIDTH / 2 + zoom * 80 * np.cos(0.8 * t + 1.57 * number)
            cy = HEIGHT / 2 + zoom * 30 * np.sin(0.8 * t + 1.57 * number)
            cv2.line(image, (round(cx), 0), (round(cx), round(cy)), (30, 20, 20), 1, cv2.LINE_AA)
            corners = angle + np.arange(3 + number) * 2 * np.pi / (3 + number)
            radius = zoom * 20
            _fill(image, np.stack([cx + radius * np.cos(corners), cy + radius * np.sin(corners)], axis=1), colour)
        return image

    return scene


def city(rng: np.random.Generator) -> Scene:
    """Windows at night and the lights of cars."""
    still = _gradient((8, 10, 28), (30, 24, 48))
    x = 0
    while x < WIDTH:
        width, top = int(rng.integers(26, 54)), int(rng.integers(20, 90))
        still[top:150, x : x + width] = rng.uniform(10, 30) * np.float32((0.8, 0.9, 1.2))
        for row in range(top + 6, 142, 11):
            for column in range(x + 4, x + width - 7, 9):
                if rng.random() < 0.45:
                    still[row : row + 6, column : column + 5] = rng.uniform(0.5, 1) * np.float32((255, 215, 130))
        x += width + 3
    still[150:] = (22, 22, 26)

    def scene(t: float) -> np.ndarray:
        image = still.copy()
        for number in range(5):
            place = (90 * number + 110 * t) % 420 - 50
            _disc(image, place, 158, 3, (255, 250, 220))
            _disc(image, place - 9, 158, 3, (255, 250, 220))
            place = 370 - (80 * number + 70 * t) % 420
            _disc(image, place, 169, 3.5, (220, 30, 25))
            _disc(image, place + 11, 169, 3.5, (220, 30, 25))
        glow = cv2.GaussianBlur(image, (0, 0), 4)
        return np.minimum(image + 0.5 * glow, 255)

    return scene


def table(rng: np.random.Generator) -> Scene:
    """A ball that rolls over a wooden table, close up."""
    grain = _texture(rng, HEIGHT, 32, 8, 2)
    wood = cv2.resize(grain[:, :8], (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)[:, :, None]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)

    def scene(t: float) -> np.ndarray:
        image = np.float32((120, 74, 36)) * (0.7 + 0.7 * wood)
        x, y, radius = 80 + 75 * t, 92.0, 58.0
        shadow = np.exp(-(((columns - x - 16) / 66) ** 2) - ((rows - y - 50) / 18) ** 2)[:, :, None]
        image *= 1 - 0.6 * shadow
        across, down = (columns - x) / radius, (rows - y) / radius
        square = across**2 + down**2
        inside = np.clip((1 - square) * radius / 2, 0, 1)[:, :, None]
        depth = np.sqrt(np.clip(1 - square, 0, 1))
        light = np.clip(-0.5 * across - 0.6 * down + 0.65 * depth, 0, 1)[:, :, None]
        angle = np.arctan2(down, across) - 1.5 * t
        stripes = (0.5 + 0.5 * np.cos(9 * angle + 4 * depth))[:, :, None]
        skin = np.float32((190, 30, 30)) + np.float32((30, 90, 10)) * stripes
        ball = skin * (0.25 + 0.9 * light) + 200 * light**12
        return np.minimum(image * (1 - inside) + ball * inside, 255).astype(np.float32)

    return scene


def snow(rng: np.random.Generator) -> Scene:
    """Falling snow before a house; a hand-held camera."""
    flakes = rng.uniform(0, 1, (160, 4))
    drifts = _texture(rng, HEIGHT, WIDTH + 40, 40)[:, :, None]

    def scene(t: float) -> np.ndarray:
        image = _gradient((170, 185, 205), (225, 230, 238))
        dx, dy = 5 * np.sin(2.1 * t), 3 * np.sin(2.9 * t + 1)
        shake = np.array([dx, dy])
        image[120:] = 215 + 40 * drifts[120:, 20 : 20 + WIDTH]
        house = np.array([[110, 70], [210, 70], [210, 135], [110, 135]]) + shake
        _fill(image, house, (130, 70, 60))
        _fill(image, np.array([[98, 74], [160, 34], [222, 74]]) + shake, (240, 243, 248))
        for left, top in ((124, 84), (176, 84), (150, 104)):
            height = 31 if top == 104 else 20
            box = np.array([[0, 0], [20, 0], [20, height], [0, height]]) + shake + np.array([left, top])
            _fill(image, box, (250, 220, 130) if top == 84 else (70, 45, 40))
        for u, v, size, speed in flakes:
            x = (u * WIDTH + 12 * np.sin(t + 20 * u) + dx) % WIDTH
            y = (v * HEIGHT + (30 + 40 * speed) * t + dy) % HEIGHT
            _disc(image, x, y, 0.8 + 1.6 * size, (255, 255, 255))
        return image

    return scene


# Frames of each shot that show nothing but it; then how it becomes the next one: label, frames that show both.
SHOTS = (
    (sea, 58, "cut", 0),
    (hills, 50, "dissolve", 16),
    (room, 49, "cut", 0),
    (city, 42, "fade", 25),
    (table, 44, "wipe", 14),
    (snow, 42, "", 0),
)


def _mix(label: str, draw_old: Callable, draw_new: Callable, share: float) -> np.ndarray:
    """Part of the way from the old shot to the new one; 0 < share < 1."""
    old, new = draw_old(), draw_new()
    if label == "dissolve":
        return (1 - share) * old + share * new
    if label == "fade":  # to black and from black
        return old * max(1 - 2 * share, 0) + new * max(2 * share - 1, 0)
    edge = np.clip((np.arange(WIDTH) - (WIDTH + 8) * (1 - share)) / 8 + 1, 0, 1)[None, :, None]
    return (1 - edge) * old + edge * new


def plan() -> tuple[list[Callable[[], np.ndarray]], list[dict]]:
    """What draws each frame, uint8 (HEIGHT, WIDTH, 3), and the transitions as in shots.json."""
    rng = np.random.default_rng(SEED)
    scenes = [make(rng) for make, *_ in SHOTS]
    frames, transitions = [], []
    start = 0  # the frame at which the shot begins to be seen
    for number, (_, count, label, mixed) in enumerate(SHOTS):
        scene = scenes[number]
        frames += [partial(scene, (len(frames) + i - start) / FRAME_RATE) for i in range(count)]
        if not label:
            continue
        last = len(frames) - 1
        transitions.append({"type": label, "start": last, "end": last + mixed + 1})
        for i in range(1, mixed + 1):
            old = partial(scene, (last + i - start) / FRAME_RATE)
            new = partial(scenes[number + 1], (i - 1) / FRAME_RATE)
            frames.append(partial(_mix, label, old, new, i / (mixed + 1)))
        start = last + 1
    return [partial(_finish, frame, index) for index, frame in enumerate(frames)], transitions


def _finish(draw: Callable[[], np.ndarray], index: int) -> np.ndarray:
    """Grain, and eight bits."""
    grain = np.random.default_rng((SEED, index)).standard_normal((HEIGHT, WIDTH, 1), np.float32)
    return np.clip(np.rint(draw() + 1.5 * grain), 0, 255).astype(np.uint8)


def main() -> None:
    frames, transitions = plan()
    images = [draw() for draw in frames]
    path = FOLDER / f"{NAME}.mp4"
    sound = np.concatenate([read_audio(FOLDER / name, RATE) for name in SOUNDS])[: len(images) * RATE // FRAME_RATE]
    write(path, images, sound)
    truth = {
        NAME: {"ev": transitions, "fps": float(FRAME_RATE), "frames": len(images), "w": WIDTH, "h": HEIGHT},
    }
    (FOLDER / f"{NAME}.json").write_text(json.dumps(truth, indent=1) + "\n")
    print(f"{path.name}: {len(images) / FRAME_RATE:.2f} s, {path.stat().st_size / 1000:.0f} kB")


def write(path: Path, images: list[np.ndarray], sound: np.ndarray) -> None:
    """H.264 and AAC in MP4. The same program versions give the same bytes."""
    with av.open(str(path), "w", options={"fflags": "+bitexact", "movflags": "+faststart"}) as container:
        options = {"crf": "27", "preset": "slow", "threads": "1"}
        picture = container.add_stream("libx264", rate=FRAME_RATE, options=options)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        stream.bit_rate = 48000
        packets = []
        for position in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(sound[None, position : position + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, position, Fraction(1, RATE)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
            packets += picture.encode(frame)
        packets += picture.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)


if __name__ == "__main__":
    main()
