"""The locally biased difference of two tiles, as core/difference.hpp and core/elementary.hpp define it."""

import triton
import triton.language as tl


@triton.jit
def locally_biased(a: tl.tensor, b: tl.tensor, gamma: tl.tensor, offset: tl.tensor) -> tl.tensor:
    """tanh(gamma (a - b) / (min(a, b) + offset)), +-1 or 0 where the divisor is zero."""
    gap = a - b
    nearest = tl.minimum(a, b) + offset
    sign = tl.where(gap > 0, 1.0, tl.where(gap < 0, -1.0, 0.0))
    x = gamma * (gap / tl.where(nearest > 0, nearest, 1.0))
    # tanh as (1 - e) / (1 + e) with e = exp(-2|x|); where 1 - e cancels, its Taylor series.
    size = tl.abs(x)
    e = tl.exp(-2.0 * size)
    z = tl.minimum(size, 0.4) * tl.minimum(size, 0.4)
    p = 21844.0 / 6081075.0
    p = p * z - 1382.0 / 155925.0
    p = p * z + 62.0 / 2835.0
    p = p * z - 17.0 / 315.0
    p = p * z + 2.0 / 15.0
    p = p * z - 1.0 / 3.0
    tangent = tl.where(size < 0.4, size + size * z * p, (1.0 - e) / (1.0 + e))
    return sign * tl.where(nearest > 0, tangent, 1.0)
