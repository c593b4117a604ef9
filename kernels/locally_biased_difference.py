"""The locally biased difference of two arrays, on a GPU through Triton.

What must move: two inputs are read once and the output written once, 12 bytes per entry for int32 or
float32. A division, an exp and a tanh's polynomial per entry hide behind that.
"""

import torch
import triton
import triton.language as tl

from ._difference import locally_biased

_BLOCK = 1024


@triton.jit
def _difference_kernel(
    a_ptr: tl.tensor,
    b_ptr: tl.tensor,
    out_ptr: tl.tensor,
    count: tl.tensor,
    gamma: tl.tensor,
    offset: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    # The count may pass 2^31: places are 64-bit.
    places = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = places < count
    a = tl.load(a_ptr + places, mask=inside, other=0).to(tl.float32)
    b = tl.load(b_ptr + places, mask=inside, other=0).to(tl.float32)
    tl.store(out_ptr + places, locally_biased(a, b, gamma, offset), mask=inside)


def locally_biased_difference(
    a: torch.Tensor, b: torch.Tensor, *, gamma: float, offset: float, out: torch.Tensor
) -> None:
    """Write the difference; see :func:`diptych.ops.locally_biased_difference`.

    Args:
        a: Contiguous neighbor ranks or distances of the first representation, int32 or float32.
        b: The same of the second, of the same shape.
        gamma: Sensitivity.
        offset: Added to the minimum.
        out: Contiguous float32 of that shape, apart from the inputs.

    Raises:
        TypeError: The inputs are neither both int32 nor both float32, or the output is not float32.
        ValueError: A tensor is strided, or shapes or devices differ.
    """
    if a.dtype != b.dtype or a.dtype not in (torch.int32, torch.float32):
        raise TypeError(f"a and b: expected both int32 or both float32, found {a.dtype} and {b.dtype}")
    if out.dtype != torch.float32:
        raise TypeError(f"out: expected float32, found {out.dtype}")
    for name, tensor in (("a", a), ("b", b), ("out", out)):
        if tensor.shape != a.shape or not tensor.is_contiguous():
            layout = "contiguous" if tensor.is_contiguous() else "strided"
            found = f"a {layout} tensor of shape {tuple(tensor.shape)}"
            raise ValueError(f"{name}: expected a contiguous tensor of shape {tuple(a.shape)}, found {found}")
        if tensor.device != a.device:
            raise ValueError(f"{name}: expected it on {a.device} as a is, found it on {tensor.device}")
    if a.numel() == 0:
        return
    with torch.cuda.device_of(a):
        _difference_kernel[(triton.cdiv(a.numel(), _BLOCK),)](
            a, b, out, a.numel(), float(gamma), float(offset), BLOCK=_BLOCK
        )
