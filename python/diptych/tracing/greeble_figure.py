"""Drawing one Greebles-like figure: ellipsoids seen from the front, lit from the upper left."""

from math import ceil, cos, floor, hypot, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Color = tuple[float, float, float]

# Samples a pixel, along each side.
_FINER = 2
_LIGHT = np.array([-0.46, -0.62, 0.64], np.float32)
# Halfway from the light to the observer.
_HALF = np.array([-0.254, -0.342, 0.905], np.float32)
_BACKGROUND = np.array([0.93, 0.92, 0.90], np.float32)
_GROUND = 0.92
_WHITE: Color = (0.97, 0.97, 0.95)
_BLACK: Color = (0.08, 0.07, 0.10)


class _Part(NamedTuple):
    """An ellipsoid in units of the image's side: y points down, z to the observer."""

    x: float
    y: float
    z: float
    width: float  #: Half axes.
    height: float
    depth: float
    color: Color
    angle: float = 0.0  #: Turned clockwise, radians.
    gloss: float = 0.30


def draw(attributes: NDArray[np.float64], out: NDArray[np.uint8]) -> None:
    """Draw a figure into (size, size, 3) uint8.

    Args:
        attributes: (6,) of 0 to 1: width and height of the head, width and height of the body, and how much
            red and green its color has beside a fixed amount of blue.
        out: Where to.

    Complexity:
        O(size²).
    """
    size = len(out)
    rows, columns, light, cover = _Canvas(size, _parts(*attributes.tolist())).shaded()
    image = _ground(size, 0.13 + 0.10 * float(attributes[2]))
    figure = image[rows, columns]
    figure *= 1 - cover[:, :, None]
    for channel, plane in enumerate(light):
        figure[:, :, channel] += plane
    image *= 255
    out[...] = np.rint(np.minimum(image, 255, out=image), out=image)


def _parts(
    head_width: float, head_size: float, body_width: float, body_size: float, red: float, green: float
) -> list[_Part]:
    color = 0.26 + 0.68 * red, 0.22 + 0.64 * green, 0.44
    pale = _mixed(color, _WHITE, 0.45)
    dark = _mixed(color, _BLACK, 0.40)
    body_w, body_h = 0.100 + 0.105 * body_width, 0.130 + 0.115 * body_size
    head_w, head_h = 0.080 + 0.090 * head_width, 0.070 + 0.072 * head_size
    body_y = _GROUND - 0.02 - body_h
    head_y = body_y - body_h - 0.72 * head_h
    parts = [
        _Part(0.5, body_y, 0.0, body_w, body_h, 0.9 * body_w, color),
        # belly, head and nose
        _Part(0.5, body_y + 0.25 * body_h, 0.45 * body_w, 0.62 * body_w, 0.62 * body_h, 0.52 * body_w, pale),
        _Part(0.5, head_y, 0.01, head_w, head_h, 0.9 * head_w, color),
        _Part(0.5, head_y + 0.36 * head_h, 0.85 * head_w, 0.017, 0.038, 0.05, color),
    ]
    for side in (-1, 1):
        foot, shoulder = 0.5 + side * 0.55 * body_w, 0.5 + side * (body_w + 0.021)
        horn, eye = 0.5 + side * 0.62 * head_w, 0.5 + side * 0.40 * head_w
        arm_y, horn_y, eye_y = body_y - 0.15 * body_h, head_y - 0.92 * head_h, head_y - 0.10 * head_h
        parts += [
            _Part(foot, _GROUND - 0.022, 0.05, 0.050, 0.027, 0.06, dark),
            _Part(shoulder, arm_y, 0.02, 0.028, 0.080, 0.036, color, -side * 0.55),
            _Part(shoulder + side * 0.040, arm_y + 0.062, 0.03, 0.028, 0.028, 0.03, pale),
            _Part(horn, horn_y, -0.02, 0.023, 0.058, 0.03, color, side * 0.45),
            _Part(horn + side * 0.027, horn_y - 0.055, -0.01, 0.023, 0.023, 0.025, pale),
            _Part(eye, eye_y, head_w - 0.02, 0.025, 0.030, 0.03, _WHITE),
            _Part(eye - side * 0.03 * head_w, eye_y + 0.03 * head_h, head_w, 0.012, 0.015, 0.018, _BLACK),
        ]
    return parts


def _mixed(color: Color, other: Color, share: float) -> Color:
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(color, other, strict=True))
    return red, green, blue


class _Canvas:
    """What is in front: the part of each sample, with its normal. Of _FINER × _FINER samples a pixel."""

    def __init__(self, size: int, parts: list[_Part]) -> None:
        n = size * _FINER
        self._parts, self._size = parts, n
        self._at = (np.arange(n, dtype=np.float32) + 0.5) / np.float32(n)
        self._depth = np.full((n, n), -np.inf, np.float32)
        self._part = np.zeros((n, n), np.uint8)  # 0 where nothing is
        self._normal = np.zeros((3, n, n), np.float32)
        for number, part in enumerate(parts, start=1):
            self._add(number, part)

    def _add(self, number: int, part: _Part) -> None:
        c, s = cos(part.angle), sin(part.angle)
        rows = self._window(part.y, hypot(part.width * s, part.height * c))
        columns = self._window(part.x, hypot(part.width * c, part.height * s))
        y, x = self._at[rows, None] - part.y, self._at[None, columns] - part.x
        # Along the part's own axes, in units of their squares: u² w² + v² h² = 1 is its outline.
        u = (c * x + s * y) / part.width**2
        v = (c * y - s * x) / part.height**2
        rest = 1 - (u * part.width) ** 2 - (v * part.height) ** 2
        front = np.sqrt(np.maximum(rest, 0))
        depth = part.z + part.depth * front
        seen = (rest > 0) & (depth > self._depth[rows, columns])
        normal = c * u - s * v, s * u + c * v, front / part.depth
        np.copyto(self._depth[rows, columns], depth, where=seen)
        np.copyto(self._part[rows, columns], number, where=seen)
        for axis, values in zip(self._normal, normal, strict=True):
            np.copyto(axis[rows, columns], values, where=seen)

    def shaded(self) -> tuple[slice, slice, list[Floats], Floats]:
        """The pixels around all parts.

        Returns:
            Their rows and columns; their light, a plane for each channel, without that of the ground; the
            share of each that parts cover.
        """
        rows, columns = (_span(np.any(self._part > 0, axis)) for axis in (1, 0))
        fine = (
            slice(rows.start * _FINER, rows.stop * _FINER),
            slice(columns.start * _FINER, columns.stop * _FINER),
        )
        part, (x, y, z) = self._part[fine], self._normal[:, *fine]
        length = np.sqrt(x * x + y * y + z * z)
        length[length == 0] = 1
        x, y, z = x / length, y / length, z / length
        diffuse = np.maximum(_LIGHT[0] * x + _LIGHT[1] * y + _LIGHT[2] * z, 0)
        shine = np.maximum(_HALF[0] * x + _HALF[1] * y + _HALF[2] * z, 0)
        for _ in range(4):
            shine *= shine
        shine *= np.array([0, *(each.gloss for each in self._parts)], np.float32)[part]
        # Towards its outline a part gets darker, as in a bright room.
        lit = (0.42 + 0.74 * diffuse) * (0.40 + 0.60 * np.sqrt(z))
        palettes = np.array([(0, 0, 0), *(each.color for each in self._parts)], np.float32).T
        light = [_pooled(np.minimum(palette[part] * lit + shine, 1)) for palette in palettes]
        return rows, columns, light, _pooled((part > 0).astype(np.float32))

    def _window(self, center: float, reach: float) -> slice:
        low, high = floor((center - reach) * self._size), ceil((center + reach) * self._size)
        return slice(max(low, 0), min(high, self._size))


def _span(there: NDArray[np.bool_]) -> slice:
    """The pixels from the first sample that is there to the last."""
    found = np.flatnonzero(there)
    return slice(int(found[0]) // _FINER, int(found[-1]) // _FINER + 1)


def _pooled(samples: Floats) -> Floats:
    """The mean of the samples of each pixel."""
    total = np.zeros_like(samples[::_FINER, ::_FINER])
    for row, column in np.ndindex(_FINER, _FINER):
        total += samples[row::_FINER, column::_FINER]
    total /= _FINER**2
    return total


def _ground(size: int, shadow: float) -> Floats:
    """(size, size, 3): a pale room, and a figure's shadow of this half width."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / np.float32(size)
    across, down = np.exp(-(((at - 0.53) / shadow) ** 2)), np.exp(-(((at - _GROUND) / 0.035) ** 2))
    light = (1 - 0.10 * at[:, None]) * (1 - 0.45 * down[:, None] * across)
    return light[:, :, None] * _BACKGROUND
