"""Rendered pictures and small animations: what footage has too little of, or none.

Every function takes a random generator and returns pictures (N, H, W, 3) uint8 RGB, one for stills.
"""

from __future__ import annotations

import string

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]


def palette(rng: np.random.Generator, colours: int = 4) -> NDArray[np.uint8]:
    """(256, 3): a ramp through random colours, often of one hue or nearly grey."""
    saturation = rng.uniform(0, 1) ** 1.3
    base = rng.uniform(0, 255, (1, 3))
    points = rng.uniform(0, 255, (colours, 3))
    points = points * rng.uniform(0.2, 1) + base * rng.uniform(0, 0.6)
    grey = points.mean(1, keepdims=True)
    points = np.clip(grey + (points - grey) * saturation * 1.4, 0, 255)
    if rng.random() < 0.5:
        points = points[np.argsort(points.sum(1))]
    grid = np.linspace(0, colours - 1, 256)
    return np.stack([np.interp(grid, np.arange(colours), points[:, c]) for c in range(3)], 1).astype(np.uint8)


def field(rng: np.random.Generator, height: int, width: int, roughness: float | None = None) -> NDArray[np.uint8]:
    """(H, W): noise of several octaves, stretched over 0..255."""
    import cv2

    roughness = rng.uniform(0.25, 0.9) if roughness is None else roughness
    total = np.zeros((height, width), np.float32)
    weight, cells = 1.0, rng.uniform(1.5, 5)
    aspect = np.exp(rng.normal(0, 0.5))
    while cells < width / 2:
        rows, columns = max(2, int(cells * height / width * aspect)), max(2, int(cells))
        small = rng.standard_normal((rows, columns)).astype(np.float32)
        total += weight * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        weight, cells = weight * roughness, cells * 2
    low, high = total.min(), total.max()
    return ((total - low) * (255 / (high - low + 1e-6))).astype(np.uint8)


def texture(rng: np.random.Generator, height: int = 108, width: int = 192) -> Pictures:
    """A coloured cloud, rock, sky or carpet."""
    return palette(rng, int(rng.integers(2, 6)))[field(rng, height, width)][None]


def collage(rng: np.random.Generator, height: int = 108, width: int = 192) -> Pictures:
    """Flat shapes on a gradient: animation, graphics, buildings."""
    import cv2

    colours = palette(rng, 5)
    ramp = np.linspace(*rng.uniform(0, 255, 2), height)[:, None] + np.linspace(0, rng.normal(0, 60), width)[None]
    picture = np.ascontiguousarray(colours[np.clip(ramp, 0, 255).astype(np.uint8)])
    if rng.random() < 0.3:
        picture = texture(rng, height, width)[0].copy()
    for _ in range(int(rng.integers(2, 28))):
        draw_shape(rng, picture, rng.uniform(0, 1, 2), rng.uniform(0.02, 0.35), colours[rng.integers(256)])
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.7, 3))
    return picture[None]


def draw_shape(rng: np.random.Generator, picture: NDArray, centre: NDArray, size: float, colour: NDArray) -> None:
    """One filled shape, in place; centre and size as shares of the picture."""
    import cv2

    height, width = picture.shape[:2]
    x, y = int(centre[0] * width), int(centre[1] * height)
    radius = max(1, int(size * height))
    paint = tuple(int(c) for c in colour)
    kind = rng.integers(4)
    if kind == 0:
        cv2.ellipse(
            picture, (x, y), (radius, max(1, int(radius * rng.uniform(0.3, 2)))), rng.uniform(0, 180), 0, 360, paint, -1
        )
    elif kind == 1:
        half = int(radius * rng.uniform(0.3, 2.5))
        cv2.rectangle(picture, (x - radius, y - half), (x + radius, y + half), paint, -1)
    elif kind == 2:
        points = np.array([x, y]) + rng.normal(0, radius, (int(rng.integers(3, 8)), 2))
        cv2.fillPoly(picture, [points.astype(np.int32)], paint)
    else:
        end = np.array([x, y]) + rng.normal(0, 2 * radius, 2)
        cv2.line(picture, (x, y), (int(end[0]), int(end[1])), paint, max(1, radius // 4))


def words(rng: np.random.Generator, most: int = 4) -> str:
    letters = string.ascii_letters if rng.random() < 0.6 else string.ascii_uppercase + string.digits
    return " ".join(
        "".join(letters[i] for i in rng.integers(0, len(letters), rng.integers(2, 10)))
        for _ in range(int(rng.integers(1, most + 1)))
    )


def write(
    rng: np.random.Generator, picture: NDArray, text: str, centre: tuple[float, float], height: float, colour: tuple
) -> None:
    """A line of text around a point, in place; centre and letter height as shares of the picture."""
    import cv2

    fonts = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX)
    font = fonts[rng.integers(len(fonts))]
    scale = max(0.15, height * picture.shape[0] / 22)
    thick = max(1, int(scale * rng.uniform(1, 6)))
    (width, tall), _ = cv2.getTextSize(text, font, scale, thick)
    x, y = int(centre[0] * picture.shape[1] - width / 2), int(centre[1] * picture.shape[0] + tall / 2)
    cv2.putText(picture, text, (x, y), font, scale, colour, thick, cv2.LINE_AA)


def card(rng: np.random.Generator, height: int = 108, width: int = 192) -> Pictures:
    """A title: text on black, on a colour or on a gradient."""
    dark = rng.random() < 0.6
    if dark:
        picture = np.full((height, width, 3), int(rng.choice([0, 0, 0, 8, 16])), np.uint8)
        colour = (
            tuple(int(c) for c in rng.integers(140, 256, 3))
            if rng.random() < 0.3
            else (int(rng.integers(150, 256)),) * 3
        )
    elif rng.random() < 0.4:
        picture = np.full((height, width, 3), int(rng.integers(200, 256)), np.uint8)
        colour = tuple(int(c) for c in rng.integers(0, 120, 3))
    else:
        picture = collage(rng, height, width)[0] if rng.random() < 0.3 else texture(rng, height, width)[0].copy()
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
    lines = int(rng.integers(1, 6)) if rng.random() < 0.6 else 1
    size = rng.uniform(0.03, 0.2) if lines == 1 else rng.uniform(0.03, 0.09)
    top = 0.5 - (lines - 1) * size
    for line in range(lines):
        write(rng, picture, words(rng), (0.5 + rng.normal(0, 0.02), top + 2 * line * size), size, colour)
    if rng.random() < 0.25:  # a logo
        draw_shape(rng, picture, np.array([0.5, rng.uniform(0.2, 0.5)]), rng.uniform(0.05, 0.15), np.array(colour))
    return picture[None]


def credit_roll(rng: np.random.Generator, steps: int, height: int = 81, width: int = 144) -> Pictures:
    """(steps, H, W, 3): lines of text that scroll up."""
    speed = rng.uniform(0.2, 2.0)
    tall = int(height + speed * steps + 8)
    roll = np.full((tall, width, 3), int(rng.choice([0, 0, 12])), np.uint8)
    for line in np.arange(0, tall, rng.uniform(6, 16)):
        if rng.random() < 0.8:
            colour = (int(rng.integers(120, 256)),) * 3
            write(rng, roll, words(rng, 5), (rng.choice([0.3, 0.5, 0.5, 0.7]), line / tall), 4.5 / tall, colour)
    starts = (np.arange(steps) * speed).astype(int)
    return np.stack([roll[s : s + height] for s in starts])


def animation(rng: np.random.Generator, steps: int, height: int = 54, width: int = 96) -> Pictures:
    """(steps, H, W, 3): shapes that move on their own over a still background; figures, cars, graphics."""
    background = (collage if rng.random() < 0.6 else texture)(rng, height, width)[0]
    count = int(rng.integers(1, 9))
    place, speed = rng.uniform(0, 1, (count, 2)), rng.normal(0, 0.012, (count, 2)) * rng.uniform(0.3, 3)
    swing, rate = rng.normal(0, 0.06, (count, 2)), rng.uniform(0.02, 0.5, count)
    sizes, colours = rng.uniform(0.03, 0.4, count) ** 1.3, rng.integers(0, 256, (count, 3))
    seeds = rng.integers(0, 2**31, count)
    held = int(rng.choice([1, 1, 1, 2, 3]))
    out = np.empty((steps, height, width, 3), np.uint8)
    for step in range(steps):
        if step % held:
            out[step] = out[step - 1]
            continue
        out[step] = background
        for i in range(count):
            centre = place[i] + speed[i] * step + swing[i] * np.sin(rate[i] * step)
            # The same seed at every step: the same shape.
            draw_shape(np.random.default_rng(seeds[i]), out[step], centre % 1.4 - 0.2, sizes[i], colours[i])
    return out


def boiling(rng: np.random.Generator, steps: int, height: int = 54, width: int = 96) -> Pictures:
    """(steps, H, W, 3): water, fire, smoke, a crowd: two textures that flow through each other."""
    import cv2

    first, second = (_mirrored(field(rng, height, width, rng.uniform(0.4, 0.95))) for _ in range(2))
    table = palette(rng, int(rng.integers(2, 5)))[None]
    flow = rng.normal(0, 1.2, (2, 2)) * rng.uniform(0.2, 2)
    out = np.empty((steps, height, width, 3), np.uint8)
    multiply = rng.random() < 0.5
    for step in range(steps):
        corners = (flow * step + 10 * np.sin(0.05 * step)).astype(int) % (2 * height, 2 * width)
        a, b = (t[y : y + height, x : x + width] for t, (y, x) in zip((first, second), corners, strict=True))
        mix = cv2.multiply(a, b, scale=1 / 255) if multiply else cv2.addWeighted(a, 0.5, b, 0.5, 0)
        out[step] = cv2.LUT(cv2.merge([mix, mix, mix]), table)
    return out


def _mirrored(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) -> (3 H, 3 W): mirrored on, so that a window at any corner modulo (2 H, 2 W) never jumps."""
    tile = np.concatenate([picture, picture[::-1]])
    tile = np.concatenate([tile, tile[:, ::-1]], 1)
    return np.pad(tile, ((0, picture.shape[0]), (0, picture.shape[1])), "wrap")


def particles(rng: np.random.Generator, pictures: Pictures, steps: int) -> Pictures:
    """(steps, H, W, 3): snow, rain, sparks or dust over still or moving pictures."""
    height, width = pictures.shape[1:3]
    count, size = int(rng.integers(10, 160)), int(rng.choice([1, 1, 2, 3]))
    where = rng.uniform(0, 1, (count, 2)) * (height, width)
    speed = rng.normal(0, 1, (count, 2)) * rng.uniform(0.1, 1.5) + rng.normal(0, 1.5, (1, 2))
    colour = rng.integers(150, 256, 3)
    out = pictures[np.arange(steps) % len(pictures)].copy()
    for step in range(steps):
        points = (where + speed * step).astype(int) % (height - size, width - size)
        for dy in range(size):
            for dx in range(size):
                out[step, points[:, 0] + dy, points[:, 1] + dx] = colour
    return out


def mosaic(rng: np.random.Generator, tiles: list[Pictures], steps: int, height: int = 54, width: int = 96) -> Pictures:
    """(steps, H, W, 3): a wall of small pictures that play, whose rows or columns move past, or nothing moves.

    Args:
        tiles: the pictures, each (N, h, w, 3) for its own N; as many as there are places are taken again and again.
    """
    import cv2

    rows, columns = int(rng.integers(2, 5)), int(rng.integers(2, 7))
    gap = int(rng.choice([0, 0, 1, 2]))
    tall, wide = -(-height // rows), -(-width // columns)
    upright = rng.random() < 0.4  # columns move, not rows
    lanes, places = (columns, rows + 1) if upright else (rows, columns + 1)
    speeds = rng.normal(0, 1) + (rng.normal(0, 1, lanes) if rng.random() < 0.5 else np.zeros(lanes))
    speeds = speeds * rng.choice([0.0, 0.3, 1.0, 2.0])
    pictures = [tiles[i] for i in rng.integers(0, len(tiles), lanes * places)]
    small = [[cv2.resize(p, (wide - gap, tall - gap), interpolation=cv2.INTER_AREA) for p in t] for t in pictures]
    length = places * (tall if upright else wide)
    paint = rng.integers(0, 256, 3) * int(rng.random() < 0.3)
    out = np.empty((steps, height, width, 3), np.uint8)
    for step in range(steps):
        for lane in range(lanes):
            strip = np.full((length, wide, 3) if upright else (tall, length, 3), paint, np.uint8)
            for place in range(places):
                tile = small[lane * places + place]
                picture = tile[min(step % (2 * len(tile) - 1), 2 * len(tile) - 2 - step % (2 * len(tile) - 1))]
                y, x = (place * tall, 0) if upright else (0, place * wide)
                strip[y : y + tall - gap, x : x + wide - gap] = picture
            strip = np.roll(strip, int(speeds[lane] * step), 0 if upright else 1)
            y, x = (0, lane * wide) if upright else (lane * tall, 0)
            target = out[step, y:, x:]
            part = strip[: target.shape[0], : target.shape[1]]
            target[: part.shape[0], : part.shape[1]] = part
    return out


def infographic(rng: np.random.Generator, steps: int, height: int = 54, width: int = 96) -> Pictures:
    """(steps, H, W, 3): a globe or another big figure on a plain ground, turning, that takes other colours at once, by
    and by, or from one side to the other; at times with labels beside it."""
    import cv2

    surface = _mirrored(field(rng, height, width))
    steep = rng.random() < 0.6  # land and sea
    tables = [palette(rng, 2 if steep else 4) for _ in range(1 + steps // 20)]
    if steep:
        surface = ((surface > 128) * 255).astype(np.uint8)
    paint = rng.integers(0, 256, 3) if rng.random() < 0.6 else rng.choice([0, 255])
    ground = np.full((height, width, 3), paint, np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        write(rng, ground, words(rng, 2), (rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9)), 0.08, colour)
    centre = (int(width * rng.uniform(0.3, 0.7)), int(height * rng.uniform(0.4, 0.6)))
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, centre, int(height * rng.uniform(0.2, 0.45)), 255, -1, cv2.LINE_AA)
    alpha = (mask / np.float32(255))[..., None]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    order = (np.cos(angle) * x + np.sin(angle) * y + 1.5) / 3
    changes = np.sort(rng.integers(0, steps + 1, len(tables) - 1))
    length = rng.choice([1, 8, 20, 40], len(tables))
    sweep, speed = rng.random() < 0.5, rng.normal(0, 0.8)
    out = np.empty((steps, height, width, 3), np.uint8)
    for step in range(steps):
        shift = int(speed * step) % (2 * width)
        seen = surface[:height, shift : shift + width]
        figure = tables[0][seen].astype(np.float32)
        for table, begin, over in zip(tables[1:], changes, length[1:], strict=True):
            share = np.clip((step - begin) / over, 0, 1)
            if share:
                weight = np.clip(share * 1.1 - order, 0, 0.1)[..., None] * 10 if sweep else share
                figure += (table[seen] - figure) * weight
        out[step] = ground * (1 - alpha) + figure * alpha
    return out


def writing(rng: np.random.Generator, steps: int, height: int = 81, width: int = 144) -> Pictures:
    """(steps, H, W, 3): a name or a sign that is written on black, stroke by stroke, letter by letter or from one side,
    and stays, or shines up."""
    import cv2

    whole = np.full((height, width, 3), int(rng.choice([0, 0, 0, 10])), np.uint8)
    empty = whole.copy()
    grey = rng.random() < 0.5
    colour = (int(rng.integers(190, 256)),) * 3 if grey else tuple(int(c) for c in rng.integers(60, 256, 3))
    if rng.random() < 0.7:
        write(rng, whole, words(rng, 1), (0.5, 0.5), rng.uniform(0.12, 0.4), colour)
    for _ in range(int(rng.integers(1, 4))):
        points = np.cumsum(rng.normal(0, 0.16, (12, 2)), 0)
        points = (points - points.mean(0)) * rng.uniform(0.4, 1.5) * height + (width / 2, height / 2)
        cv2.polylines(whole, [points.astype(np.int32)], False, colour, int(rng.integers(1, 9)), cv2.LINE_AA)
    x = np.broadcast_to(np.linspace(0, 1, width), (height, width))
    kind = rng.integers(3)
    order = x if kind == 0 else np.floor(x * 7) / 7 if kind == 1 else field(rng, height, width, 0.3) / 255
    begin, length = int(rng.integers(-10, 30)), int(rng.integers(10, 80))
    shine, out = steps * rng.uniform(0, 2), np.empty((steps, height, width, 3), np.uint8)
    for step in range(steps):
        weight = np.clip(((step - begin) / length * 1.1 - order) * 10, 0, 1)[..., None].astype(np.float32)
        light = 1 + np.exp(-(((step - shine) / 6) ** 2))
        out[step] = np.clip((empty + (whole - empty.astype(np.float32)) * weight) * light, 0, 255)
    return out
