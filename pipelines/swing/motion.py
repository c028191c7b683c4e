"""How a batter moves: key poses, plans of what happens when, and the places of the joints.

Space is in metres: x towards the pitcher, y from the batter over the plate, z up; a right-handed batter stands around
the origin, and a left-handed one is the mirror image. Time is in seconds, angles are in degrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LABELS = ("stance", "load", "swing", "impact", "follow-through")
NOTHING, STANCE, LOAD, SWING, IMPACT, FOLLOW = range(6)  # ids of the labels; 0 is the background

# What a pose says. Yaws of pelvis and chest: turned about the vertical towards the pitcher. Lean over the plate, tilt
# away from the pitcher, shift of the hips towards him, crouch and the feet, in metres. Where the hands are from the
# chest: direction, distance, height. The bat: direction and elevation. Directions count from x over y: 90 points over
# the plate, 180 away from the pitcher.
PARAMETERS = ("pelvis", "chest", "lean", "tilt", "shift", "crouch", "front_x", "front_z", "heel")
PARAMETERS += ("hands_way", "hands_reach", "hands_height", "bat_way", "bat_rise")
POSES: Mapping[str, tuple[float, ...]] = {
    "idle": (25, 30, 4, 0, 0.00, 0.02, 0.16, 0, 0, 70, 0.28, -0.40, 60, -55),
    "stance": (0, -8, 16, 0, -0.02, 0.12, 0.34, 0, 0, 150, 0.32, 0.02, 230, 58),
    "loaded": (-14, -34, 18, 4, -0.12, 0.14, 0.30, 0.18, 0, 168, 0.42, 0.08, 262, 42),
    "planted": (8, -32, 18, 6, 0.02, 0.16, 0.50, 0, 0, 168, 0.44, 0.06, 250, 36),
    "launch": (45, 0, 18, 9, 0.08, 0.17, 0.50, 0, 0.03, 135, 0.38, -0.12, 205, 22),
    "contact": (74, 52, 16, 12, 0.12, 0.14, 0.50, 0, 0.07, 72, 0.53, -0.34, 92, -14),
    "extended": (84, 84, 10, 10, 0.15, 0.11, 0.50, 0, 0.10, 35, 0.56, -0.12, 0, 4),
    "wrapped": (92, 112, 4, 8, 0.16, 0.09, 0.50, 0, 0.12, 10, 0.34, 0.12, -120, 30),
    "finish": (95, 122, 0, 6, 0.15, 0.06, 0.48, 0, 0.12, 0, 0.28, 0.16, -165, 10),
}
# How much people differ in each of these (standard deviation).
SPREAD = np.array([5, 6, 4, 3, 0.02, 0.03, 0.04, 0.02, 0.01, 7, 0.03, 0.05, 10, 7])
SWEET_SPOT, BAT = 0.58, 0.76  # from the hands along the bat

# Bones: name -> (joint, joint, radius at each in metres, what it is coloured as).
BONES: Mapping[str, tuple[str, str, float, float, str]] = {
    "back_thigh": ("back_hip", "back_knee", 0.095, 0.065, "trousers"),
    "back_shin": ("back_knee", "back_ankle", 0.062, 0.042, "trousers"),
    "back_foot": ("back_ankle", "back_toe", 0.045, 0.035, "shoes"),
    "front_thigh": ("front_hip", "front_knee", 0.095, 0.065, "trousers"),
    "front_shin": ("front_knee", "front_ankle", 0.062, 0.042, "trousers"),
    "front_foot": ("front_ankle", "front_toe", 0.045, 0.035, "shoes"),
    "pelvis": ("back_hip", "front_hip", 0.10, 0.10, "trousers"),
    "belly": ("hips", "chest", 0.14, 0.155, "shirt"),
    "shoulders": ("back_shoulder", "front_shoulder", 0.085, 0.085, "shirt"),
    "neck": ("chest", "head", 0.06, 0.055, "skin"),
    "skull": ("head", "crown", 0.10, 0.105, "skin"),
    "helmet": ("crown", "top", 0.115, 0.095, "helmet"),
    "brim": ("crown", "brim", 0.05, 0.03, "helmet"),
    "back_upper_arm": ("back_shoulder", "back_elbow", 0.06, 0.047, "shirt"),
    "back_forearm": ("back_elbow", "hands", 0.045, 0.035, "skin"),
    "front_upper_arm": ("front_shoulder", "front_elbow", 0.06, 0.047, "shirt"),
    "front_forearm": ("front_elbow", "hands", 0.045, 0.035, "skin"),
    "fists": ("hands", "grip", 0.045, 0.045, "gloves"),
    "handle": ("hands", "barrel", 0.014, 0.026, "bat"),
    "bat": ("barrel", "tip", 0.03, 0.034, "bat"),
}


@dataclass(frozen=True)
class Pitch:
    """A ball that crosses the plate at `time` at so many metres a second; `hit` where it meets the bat then."""

    time: float
    speed: float
    hit: bool


@dataclass(frozen=True)
class Plan:
    """What happens in a clip of `duration` seconds.

    Attributes:
        times, poses: key poses (K,), (K, 14) in the order of `PARAMETERS`.
        phases: (start, label) in order.
        waggle: degrees, hertz, and phase of the bat's restlessness in the stance.
    """

    times: NDArray
    poses: NDArray
    phases: tuple[tuple[float, int], ...]
    pitches: tuple[Pitch, ...]
    duration: float
    waggle: tuple[float, float, float]

    def label(self, time: float) -> int:
        """The phase at a time; not `IMPACT`, which is a moment."""
        return next((label for start, label in reversed(self.phases) if time >= start), NOTHING)

    @property
    def impacts(self) -> tuple[float, ...]:
        return tuple(pitch.time for pitch in self.pitches if pitch.hit)

    def pose(self, times: NDArray) -> NDArray:
        """(T,) -> (T, 14)."""
        pose = spline(self.times, self.poses, times)
        degrees, hertz, phase = self.waggle
        still = np.array([self.label(time) in (STANCE, LOAD) for time in times])
        turn = degrees * still * np.sin(2 * np.pi * (hertz * times + phase))
        pose[:, PARAMETERS.index("bat_way")] += turn
        pose[:, PARAMETERS.index("bat_rise")] += 0.6 * turn
        return pose


def draw_plan(rng: np.random.Generator, duration: float) -> Plan:
    """Stance and what may come of it, once or more: a swing, a load that stops, a checked swing, or nothing at all."""
    deviation = rng.normal(0, 1, len(SPREAD)) * SPREAD
    tempo = rng.uniform(0.8, 1.7)
    keys: list[tuple[float, NDArray]] = []
    phases: list[tuple[float, int]] = []
    pitches: list[Pitch] = []

    def pose(name: str, toward: str | None = None, share: float = 1.0) -> NDArray:
        own = rng.normal(0, 0.25, len(SPREAD)) * SPREAD
        goal = np.array(POSES[name])
        if toward:
            goal = goal * (1 - share) + np.array(POSES[toward]) * share
        return goal + own + deviation

    def key(time: float, name: str, toward: str | None = None, share: float = 1.0) -> float:
        keys.append((time, pose(name, toward, share)))
        return time

    def pitch(time: float, hit: bool) -> None:
        pitches.append(Pitch(time, rng.uniform(8, 26), hit))

    # The clip may begin at any moment of what happens.
    now = -rng.uniform(0, 1.2)
    if rng.random() < 0.3:
        key(now, "idle")
        now = key(now + rng.uniform(0.2, 1.0), "idle")
        phases.append((now + 0.25, STANCE))
        now = key(now + rng.uniform(0.4, 0.8), "stance")
    else:
        phases.append((now, STANCE))
        key(now, "stance")
    while now < duration + 0.5:
        now = key(now + rng.uniform(0.15, 1.1), "stance")
        act = rng.choice(["swing", "stop", "check", "take", "step"], p=[0.6, 0.13, 0.13, 0.08, 0.06])
        if act == "take":  # a pitch that he lets pass
            pitch(now + rng.uniform(0.1, 0.4), hit=False)
            continue
        if act == "step":  # steps out, and comes back or not
            phases.append((now + 0.2, NOTHING))
            now = key(now + rng.uniform(0.5, 0.9), "idle")
            now = key(now + rng.uniform(0.2, 0.8), "idle")
            if rng.random() < 0.3:
                continue
            phases.append((now + 0.25, STANCE))
            now = key(now + rng.uniform(0.5, 0.8), "stance")
            continue
        phases.append((now, LOAD))
        now = key(now + tempo * rng.uniform(0.25, 0.6), "stance", "loaded", rng.uniform(0.75, 1.15))
        if act == "stop":
            phases.append((now, STANCE))
            if rng.random() < 0.6:
                pitch(now + rng.uniform(0.05, 0.3), hit=False)
            now = key(now + rng.uniform(0.25, 0.6), "stance")
            continue
        now = key(now + tempo * rng.uniform(0.12, 0.25), "planted")
        phases.append((now, SWING))
        if act == "check":
            now = key(now + tempo * rng.uniform(0.07, 0.12), "planted", "launch", rng.uniform(0.4, 1.0))
            if rng.random() < 0.8:
                pitch(now + rng.uniform(0.0, 0.1), hit=False)
            phases.append((now, STANCE))
            now = key(now + rng.uniform(0.25, 0.5), "stance")
            continue
        now = key(now + tempo * rng.uniform(0.09, 0.13), "launch")
        now = key(now + tempo * rng.uniform(0.06, 0.09), "contact")
        pitch(now, hit=True)
        phases.append((now, FOLLOW))
        now = key(now + tempo * rng.uniform(0.06, 0.09), "extended")
        now = key(now + tempo * rng.uniform(0.08, 0.12), "wrapped")
        now = key(now + tempo * rng.uniform(0.10, 0.16), "finish")
        phases.append((now, NOTHING))
        now = key(now + rng.uniform(0.1, 0.8), "finish")
        now = key(now + rng.uniform(0.4, 0.8), "idle")
        if rng.random() < 0.5:
            key(duration + 9.0, "idle")
            break
        now = key(now + rng.uniform(0.1, 0.5), "idle")
        phases.append((now + 0.25, STANCE))
        now = key(now + rng.uniform(0.5, 0.8), "stance")
    times, poses = zip(*keys, strict=True)
    waggle = (rng.uniform(0, 22) if rng.random() < 0.6 else 0.0, rng.uniform(0.6, 2.2), rng.random())
    return Plan(np.array(times), np.array(poses), tuple(phases), tuple(pitches), duration, waggle)


def spline(times: NDArray, values: NDArray, at: NDArray) -> NDArray:
    """(K,), (K, N), (T,) -> (T, N): through all points without overshoot (PCHIP, Fritsch & Carlson 1980)."""
    step = np.diff(times)[:, None]
    slope = np.diff(values, axis=0) / step
    tangent = np.zeros_like(values)
    a, b = slope[:-1], slope[1:]
    w1, w2 = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    same = a * b > 0
    tangent[1:-1] = np.where(same, (w1 + w2) * a * b / np.where(same, w1 * b + w2 * a, 1.0), 0.0)
    k = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    h = step[k]
    u = np.clip((at - times[k])[:, None] / h, 0, 1)
    return (
        values[k] * (1 + 2 * u) * (1 - u) ** 2
        + tangent[k] * h * u * (1 - u) ** 2
        + values[k + 1] * u**2 * (3 - 2 * u)
        + tangent[k + 1] * h * u**2 * (u - 1)
    )


def joints(pose: NDArray, height: float, legs: float) -> dict[str, NDArray]:
    """(T, 14) -> name -> (T, 3), for a body so many metres tall, of which the legs are this share."""
    scale = height / 1.8
    p = dict(zip(PARAMETERS, pose.T, strict=True))
    zero, one = np.zeros(len(pose)), np.ones(len(pose))
    x, z = np.stack([one, zero, zero], -1), np.stack([zero, zero, one], -1)
    leg, torso = height * legs, height * (0.80 - legs)

    def facing(yaw: NDArray) -> tuple[NDArray, NDArray]:
        angle = np.radians(yaw)
        return np.stack([np.sin(angle), np.cos(angle), zero], -1), np.stack([np.cos(angle), -np.sin(angle), zero], -1)

    def direction(way: NDArray, rise: NDArray) -> NDArray:
        a, b = np.radians(way), np.radians(rise)
        return np.stack([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)], -1)

    forward, side = facing(p["pelvis"])
    hips = x * p["shift"][:, None] + z * (leg * (1 - p["crouch"]))[:, None] - 0.08 * scale * forward
    ahead, across = facing(p["chest"])
    lean, tilt = np.tan(np.radians(p["lean"])), np.tan(np.radians(p["tilt"]))
    up = z + lean[:, None] * _unit(ahead + np.array([0.0, 1.0, 0.0])) - tilt[:, None] * x
    up = _unit(up)
    chest = hips + torso * up
    hands = chest + scale * (
        direction(p["hands_way"], zero) * p["hands_reach"][:, None] + z * p["hands_height"][:, None]
    )
    bat = direction(p["bat_way"], p["bat_rise"])
    head = chest + 0.13 * scale * up
    result = {
        "hips": hips,
        "chest": chest,
        "head": head,
        "crown": head + 0.10 * scale * up,
        "top": head + 0.15 * scale * up,
        "brim": head + scale * (0.09 * up + 0.16 * _unit(x + 0.3 * ahead)),
        "hands": hands,
        "grip": hands + 0.07 * bat,
        "barrel": hands + 0.42 * bat,
        "tip": hands + BAT * bat,
        "sweet_spot": hands + SWEET_SPOT * bat,
    }
    feet = {
        "front": x * p["front_x"][:, None] + z * (p["front_z"] + 0.07)[:, None],
        "back": -0.34 * x + z * (p["heel"] + 0.07)[:, None],
    }
    for name, sign in (("front", 1.0), ("back", -1.0)):
        hip, foot = hips + sign * 0.10 * scale * side, feet[name] * scale
        toe = _unit(forward * (1.0 if name == "back" else 0.4) + np.array([0.0, 0.6, 0.0]))
        shoulder = chest + sign * 0.19 * scale * across
        half = 0.5 * (leg - 0.07 * scale)
        result |= {
            f"{name}_hip": hip,
            f"{name}_knee": bend(hip, foot, half, half, forward + sign * 0.5 * side),
            f"{name}_ankle": foot,
            f"{name}_toe": foot + scale * (0.16 * toe - z * (0.04 + (p["heel"][:, None] if name == "back" else 0))),
            f"{name}_shoulder": shoulder,
            f"{name}_elbow": bend(shoulder, hands, 0.29 * scale, 0.27 * scale, sign * across - 0.9 * z),
        }
    return result


def bend(start: NDArray, end: NDArray, first: float, second: float, pole: NDArray) -> NDArray:
    """The joint between two bones of these lengths from `start` to `end`, (T, 3), bent towards `pole`.

    Where they are too short, they stretch.
    """
    way = end - start
    distance = np.linalg.norm(way, axis=-1, keepdims=True)
    unit = way / distance
    reach = np.minimum(distance, (first + second) * 0.999)
    along = (reach**2 + first**2 - second**2) / (2 * reach)
    out = np.sqrt(np.maximum(first**2 - along**2, 0))
    normal = _unit(pole - (pole * unit).sum(-1, keepdims=True) * unit)
    return start + unit * along * distance / reach + normal * out


def _unit(x: NDArray) -> NDArray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
