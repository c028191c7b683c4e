"""Pictures of a batter: a body of shaded limbs before a background, seen by a camera that may not be still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.swing.motion import BONES, FOLLOW, IMPACT, SWING, Pitch, Plan, draw_plan, joints
from pipelines.swing.places import Background, rgb

FPS = 30


@dataclass(frozen=True)
class Domain:
    """What clips are drawn from.

    Attributes:
        legs: ranges of the legs' share of the height; girth: ranges of a factor on all radii; hue: of the shirt, 0..1.
        backgrounds: names of procedural ones, see `swing_places`.
        footage: frames (N, H, W, 3) uint8 of single shots, which half of the clips have for a background.
    """

    legs: tuple[tuple[float, float], ...]
    girth: tuple[tuple[float, float], ...]
    hue: tuple[tuple[float, float], ...]
    backgrounds: tuple[str, ...]
    footage: tuple[NDArray[np.uint8], ...] = ()


# The bodies and places of the second are none of the first's.
TRAIN = Domain(((0.47, 0.53),), ((0.85, 1.2),), ((0.0, 0.45), (0.6, 0.9)), ("field", "stands", "noise"))
HELD_OUT = Domain(
    ((0.45, 0.47), (0.53, 0.55)), ((0.72, 0.85), (1.2, 1.35)), ((0.45, 0.6), (0.9, 1.0)), ("hall", "houses")
)


@dataclass(frozen=True)
class Rendered:
    """A clip: frames (T, H, W, 3) uint8 RGB, labels (T,) of `swing_motion.LABELS` + 1, frames of the impacts.

    `misses` tells by how many metres the ball misses the bat's sweet spot in each of these.
    """

    frames: NDArray[np.uint8]
    labels: NDArray[np.int64]
    impacts: tuple[int, ...]
    misses: tuple[float, ...]


@dataclass(frozen=True)
class Camera:
    """Perspective: from where (azimuth from the plate's side, elevation, distance), and how large a metre is.

    `view` (T, 4) is the shift of the picture in x and y, its zoom and its roll at each frame: pans, shakes and zooms.
    """

    azimuth: float
    elevation: float
    distance: float
    scale: float
    mirror: bool
    view: NDArray

    def project(self, points: NDArray, frames: NDArray, size: int) -> tuple[NDArray, NDArray]:
        """(N, ..., 3) in the frames (N,) -> pixels (N, ..., 2) and pixels per metre (N, ...), larger where nearer."""
        a, e = np.radians(self.azimuth), np.radians(self.elevation)
        away = np.array([np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), np.sin(e)])
        right = np.array([-np.cos(a), np.sin(a), 0.0])
        relative = points - np.array([0.1, 0.2, 0.95])
        depth = np.maximum(self.distance - relative @ away, 0.3)
        view = self.view[frames].reshape(len(frames), *[1] * (points.ndim - 2), 4)
        scale = size * self.scale * view[..., 2] * self.distance / depth
        u, v = relative @ right * (-1 if self.mirror else 1), relative @ np.cross(right, away)
        cos, sin = np.cos(view[..., 3]), np.sin(view[..., 3])
        pixels = np.stack([cos * u - sin * v, sin * u + cos * v], -1) * scale[..., None]
        return pixels + size * (0.5 + view[..., :2]), scale


def render(domain: Domain, rng: np.random.Generator, size: int = 64, frames: tuple[int, int] = (60, 120)) -> Rendered:
    """One clip of a body, a place, a camera and a plan drawn at random."""
    import cv2

    count = int(rng.integers(frames[0], frames[1] + 1))
    plan = draw_plan(rng, count / FPS)
    body = _draw_body(domain, rng)
    camera = _draw_camera(rng, count)
    scene = Background(domain.backgrounds, domain.footage, rng, count, 2 * size)
    labels = np.array([plan.label(frame / FPS) for frame in range(count)])
    impacts = [frame for time in plan.impacts if 0 <= (frame := round(time * FPS)) < count]
    labels[impacts] = IMPACT

    # The shutter is open for half of a frame's time; what is fast is seen several times meanwhile.
    fast = np.isin(labels, (SWING, IMPACT, FOLLOW))
    shots = np.where(fast | np.roll(fast, 1) | np.roll(fast, -1), 3, 1)
    which = np.repeat(np.arange(count), shots)
    times = (which + np.concatenate([(np.arange(n) - (n - 1) / 2) * 0.5 / n for n in shots])) / FPS
    pose = joints(plan.pose(times), body.height, body.legs)
    balls = [_Ball(pitch, body, plan, rng) for pitch in plan.pitches]
    limbs = _Limbs(pose, body, camera, which, 2 * size, rng.uniform(-1, 1), rng.uniform(0.4, 0.8))
    catcher = None
    if rng.random() < 0.4:
        places, other = _draw_catcher(rng, body)
        catcher = _Limbs(
            {name: np.tile(place, (count, 1)) for name, place in places.items()},
            other, camera, np.arange(count), 2 * size, 0.0, 0.6,
        )  # fmt: skip
    shadow, shadow_scale = camera.project((pose["front_ankle"] + pose["back_ankle"]) / 2 * (1, 1, 0), which, 2 * size)
    flat = max(0.12, np.sin(np.radians(camera.elevation)))
    gain, tint, noise = rng.uniform(0.7, 1.3), 1 + rng.normal(0, 0.05, 3), rng.uniform(0, 8)
    blur, quality = rng.uniform(0, 0.9) if rng.random() < 0.4 else 0.0, int(rng.integers(35, 96))
    result = np.empty((count, size, size, 3), np.uint8)
    shot = 0
    for frame in range(count):
        base = scene.picture(frame, camera.view[frame])
        _shade(base, shadow[shot], 0.55 * shadow_scale[shot], 0.4 * shadow_scale[shot] * flat)
        if catcher:
            catcher.paint(base, frame)
        total = np.zeros(base.shape, np.float32)
        for _ in range(shots[frame]):
            picture = base.copy()
            limbs.paint(picture, shot)
            for ball in balls:
                ball.paint(picture, camera, frame, times[shot])
            total += picture
            shot += 1
        picture = cv2.resize(total / shots[frame], (size, size), interpolation=cv2.INTER_AREA)
        if blur:
            picture = cv2.GaussianBlur(picture, (0, 0), blur)
        picture = picture * (gain * tint) + rng.normal(0, 1, picture.shape) * noise
        coded = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        result[frame] = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return Rendered(result, labels, tuple(impacts), _misses(plan, body, balls, impacts))


def _misses(plan: Plan, body: Body, balls: Sequence[_Ball], impacts: Sequence[int]) -> tuple[float, ...]:
    """How far the ball passes from the bat's sweet spot within half a frame of each impact frame, in metres."""
    result = []
    for frame in impacts:
        times = (frame + np.linspace(-0.5, 0.5, 101)) / FPS
        spots = joints(plan.pose(times), body.height, body.legs)["sweet_spot"]
        places = np.array([[ball.at(time) for time in times] for ball in balls])
        result.append(float(np.linalg.norm(places - spots, axis=-1).min()))
    return tuple(result)


@dataclass(frozen=True)
class Body:
    """Height in metres, the legs' share of it, girth as a factor, and the colours (3,) of the parts."""

    height: float
    legs: float
    girth: float
    colours: Mapping[str, NDArray]


class _Ball:
    """A pitched ball: along a line to where it crosses the plate, and on or, hit, away from the bat."""

    def __init__(self, pitch: Pitch, body: Body, plan: Plan, rng: np.random.Generator):
        self.pitch = pitch
        if pitch.hit:
            spot = joints(plan.pose(np.array([pitch.time])), body.height, body.legs)["sweet_spot"][0]
        else:
            spot = np.array([0.1, rng.uniform(0.6, 1.1), rng.uniform(0.4, 1.3)])
        self.meets = spot
        self.before = pitch.speed * np.array([-1.0, rng.normal(0, 0.02), rng.normal(-0.05, 0.04)])
        angle, rise = np.radians(rng.normal(0, 28)), np.radians(rng.uniform(-15, 45))
        speed = pitch.speed * rng.uniform(1.0, 1.6)
        self.after = speed * np.array([np.cos(angle) * np.cos(rise), np.sin(angle) * np.cos(rise), np.sin(rise)])

    def at(self, time: float) -> NDArray:
        gone = time - self.pitch.time
        return self.meets + gone * (self.after if gone > 0 and self.pitch.hit else self.before)

    def paint(self, picture: NDArray, camera: Camera, frame: int, time: float) -> None:
        import cv2

        place = self.at(time)
        if place[0] < -1.3 or abs(time - self.pitch.time) > 0.8:  # in the catcher's glove, or far away
            return
        pixel, scale = camera.project(place[None], np.array([frame]), picture.shape[0])
        if np.abs(pixel).max() < 4 * picture.shape[0]:
            centre = tuple(int(16 * value) for value in pixel[0])
            cv2.circle(picture, centre, int(16 * max(1.1, 0.045 * scale[0])), (245, 245, 240), -1, cv2.LINE_AA, 4)


class _Limbs:
    """A body in N moments, as shapes to be painted: each limb darker at its edge and brighter towards the light.

    Args:
        places: name of a joint -> (N, 3). frames: (N,) of the moments. light: from the left, -1, to the right, 1.
        ambient: brightness of the edges.
    """

    def __init__(
        self,
        places: Mapping[str, NDArray],
        body: Body,
        camera: Camera,
        frames: NDArray,
        size: int,
        light: float,
        ambient: float,
    ):
        bones = [bone for bone in BONES.values() if bone[0] in places and bone[1] in places]
        ends = np.stack([np.stack([places[bone[0]], places[bone[1]]], 1) for bone in bones], 1)
        pixels, scale = camera.project(ends, frames, size)  # (N, bones, 2, 2), (N, bones, 2)
        pixels = np.clip(pixels, -4 * size, 5 * size)
        self.order = np.argsort(scale.mean(-1), axis=1).tolist()  # the farthest first
        girth = np.array([1.0 if bone[4] in ("bat", "skin", "helmet") else body.girth for bone in bones])
        radii = np.array([bone[2:4] for bone in bones]) * girth[:, None] * scale
        way = pixels[..., 1, :] - pixels[..., 0, :]
        normal = np.stack([-way[..., 1], way[..., 0]], -1) / np.maximum(np.linalg.norm(way, axis=-1), 1e-6)[..., None]
        offset = np.array([light, -0.7]) * radii.mean(-1)[..., None] * 0.35
        self.layers = []
        for share, shade, shift in ((1.0, ambient, 0.0), (0.62, 1.0, 1.0)):
            centres = pixels + shift * offset[..., None, :]
            wide = normal[..., None, :] * (share * radii)[..., None]
            quads = np.concatenate([centres + wide, (centres - wide)[..., ::-1, :]], -2)
            inks = [np.clip(body.colours[bone[4]] * shade, 0, 255).tolist() for bone in bones]
            self.layers.append(
                (
                    np.round(16 * quads).astype(np.int32),
                    np.round(16 * centres).astype(int).tolist(),
                    np.round(16 * share * radii).astype(int).tolist(),
                    inks,
                )
            )

    def paint(self, picture: NDArray, moment: int) -> None:
        import cv2

        for bone in self.order[moment]:
            for quads, centres, radii, inks in self.layers:
                cv2.fillConvexPoly(picture, quads[moment, bone], inks[bone], cv2.LINE_AA, 4)
                for centre, radius in zip(centres[moment][bone], radii[moment][bone], strict=True):
                    cv2.circle(picture, centre, radius, inks[bone], -1, cv2.LINE_AA, 4)


def _shade(picture: NDArray, centre: NDArray, across: float, along: float) -> None:
    import cv2

    darker = picture.copy()
    axes = (max(1, int(across)), max(1, int(along)))
    cv2.ellipse(darker, tuple(int(value) for value in centre), axes, 0, 0, 360, (20, 20, 20), -1)
    cv2.addWeighted(darker, 0.35, picture, 0.65, 0, picture)


def _draw_catcher(rng: np.random.Generator, body: Body) -> tuple[dict[str, NDArray], Body]:
    """Somebody who crouches behind the plate: places of joints, and a body."""
    at = np.array([rng.uniform(-1.7, -1.2), rng.uniform(0.5, 0.9), 0.0])
    places = {
        "hips": (0, 0, 0.35), "chest": (0.15, 0, 0.75), "head": (0.2, 0, 0.88), "crown": (0.22, 0, 0.98),
        "top": (0.22, 0, 1.03), "back_hip": (0, -0.1, 0.35), "front_hip": (0, 0.1, 0.35),
        "back_knee": (0.3, -0.25, 0.45), "front_knee": (0.3, 0.25, 0.45), "back_ankle": (0.1, -0.25, 0.07),
        "front_ankle": (0.1, 0.25, 0.07), "back_shoulder": (0.15, -0.2, 0.72), "front_shoulder": (0.15, 0.2, 0.72),
        "front_elbow": (0.35, 0.25, 0.55), "hands": (0.55, 0.1, 0.65), "grip": (0.62, 0.1, 0.68),
    }  # fmt: skip
    colours = {name: rng.uniform(20, 200, 3) for name in body.colours}
    return {name: at + np.array(place) for name, place in places.items()}, Body(1.8, 0.5, 1.0, colours)


def _draw_body(domain: Domain, rng: np.random.Generator) -> Body:
    def within(ranges: Sequence[tuple[float, float]]) -> float:
        sizes = np.array([high - low for low, high in ranges])
        low, high = ranges[rng.choice(len(ranges), p=sizes / sizes.sum())]
        return float(rng.uniform(low, high))

    shirt = rgb(within(domain.hue), rng.uniform(0.2, 0.9), rng.uniform(90, 245))
    skin = np.array([235, 190, 160]) * rng.uniform(0.4, 1.05) * (1 + rng.normal(0, 0.03, 3))
    return Body(
        height=rng.uniform(1.6, 2.0),
        legs=within(domain.legs),
        girth=within(domain.girth),
        colours={
            "shirt": shirt,
            "trousers": np.clip(rng.uniform(60, 235) + rng.normal(0, 12, 3), 0, 255),
            "skin": skin,
            "helmet": rgb(within(domain.hue), rng.uniform(0.3, 1), rng.uniform(40, 220)),
            "shoes": np.full(3, rng.uniform(15, 90)),
            "gloves": np.clip(rng.uniform(30, 220) + rng.normal(0, 10, 3), 0, 255),
            "bat": np.array([215, 175, 120]) * rng.uniform(0.35, 1.1)
            if rng.random() < 0.7
            else rng.uniform(30, 230, 3),
        },
    )


def _draw_camera(rng: np.random.Generator, count: int) -> Camera:
    t = np.arange(count)
    view = np.zeros((count, 4))
    view[:, :2] = rng.uniform(-0.08, 0.08, 2)
    view[:, 2] = 1.0
    view[:, 3] = rng.normal(0, 0.03)
    if rng.random() < 0.5:  # a pan
        view[:, :2] += np.outer(t / count - 0.5, rng.normal(0, 0.10, 2))
    if rng.random() < 0.4:  # a zoom
        view[:, 2] *= np.exp((t / count - 0.5) * rng.normal(0, 0.25))
    if rng.random() < 0.6:  # held in hands
        period = rng.uniform(4, 20, 4)
        wave = np.sin(2 * np.pi * (t[:, None] / period + rng.random(4)))
        view[:, :2] += wave.reshape(count, 2, 2).sum(1) * rng.uniform(0.001, 0.010)
    # Mostly from the side that he faces, sometimes from behind his back.
    azimuth = rng.uniform(-65, 65) + (180 if rng.random() < 0.25 else 0)
    distance = rng.uniform(3.0, 9.0)
    return Camera(azimuth, rng.uniform(-2, 22), distance, rng.uniform(0.29, 0.44), bool(rng.random() < 0.5), view)
