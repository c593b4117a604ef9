"""Colours shared by every figure and page: one accent per side, one colour per explanation.

The two accents differ in hue and lightness under all common colour-vision deficiencies; the cluster
colours are those of Paul Tol's "muted" scheme, ordered so that neighbors differ in lightness too.
Explanations are numbered wherever they are coloured, so that colour is never the only sign.
"""

from typing import Literal

Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")

ACCENTS: dict[Side, str] = {"a": "#1767a8", "b": "#b8500f"}
CLUSTER_COLORS = (
    "#44aa99",
    "#cc6677",
    "#ccb44e",
    "#aa4499",
    "#3f8f5b",
    "#6cbbe6",
    "#999933",
    "#994a68",
)
REST_COLOR = "#c9cdd3"
INK = "#20242b"
QUIET = "#69707c"


def cluster_color(number: int) -> str:
    """Colour of the explanation with this zero-based number; colours repeat after eight."""
    return CLUSTER_COLORS[number % len(CLUSTER_COLORS)]


def network_names(names: tuple[str, str]) -> tuple[str, str]:
    """How two networks are called in sentences: "Network 1" where they have but numbers."""
    return ("Network 1", "Network 2") if names == ("1", "2") else names


def check_side(side: str) -> Side:
    """Return ``side`` if it is "a" or "b".

    Raises:
        ValueError: It is neither.
    """
    if side == "a":
        return "a"
    if side == "b":
        return "b"
    raise ValueError(f"side: found {side!r}, wanted 'a' or 'b'")


def short(name: str, limit: int = 32) -> str:
    """Make a name fit for a figure: an ellipsis where it is too long, "?" for what is no character.

    Undecodable bytes of a file name reach Python as lone surrogates, which no font can draw.
    """
    name = name.encode("utf-8", "replace").decode("utf-8")
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
