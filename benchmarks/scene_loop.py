"""The loop that one would write to place squares on scenes, which ours is timed beside."""

import numpy as np

from diptych.numerosity import SceneLaw

SIZE = 244


def placed_in_a_loop(rng: np.random.Generator, count: int, law: SceneLaw) -> list[tuple[int, ...]]:
    """Corner, side and grey of each square; begun anew when 1,000 tries for each were in vain."""
    side = int(rng.integers(law.sides[0], law.sides[1] + 1))
    grey = round(255 * rng.uniform(*law.contrasts))
    gap = side + law.clearance
    while True:
        squares: list[tuple[int, ...]] = []
        for _ in range(1000 * max(count, 1)):
            if len(squares) == count:
                return squares
            x, y = rng.integers(0, SIZE - side + 1, 2).tolist()
            if all(abs(x - other[0]) >= gap or abs(y - other[1]) >= gap for other in squares):
                squares.append((x, y, side, grey))
