"""Reading images in threads ahead of the network that is shown them, and making batches of them."""

import os
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

from diptych.embed.images import ImageSet, UnreadableImageError

if TYPE_CHECKING:
    from PIL.Image import Image

# Chunks of images that are read while one is computed.
_AHEAD = 2


def reader_threads(workers: int | None) -> int:
    """Threads that read images: as many as are asked for, or up to four."""
    return workers or min(4, os.cpu_count() or 1)


def read_ahead(
    images: ImageSet,
    prepare: Callable[["Image", int], torch.Tensor],
    chunks: Sequence[Sequence[int]],
    workers: int,
) -> Generator[list[torch.Tensor | str]]:
    """Prepared images of each chunk, or why one cannot be read; later chunks are read meanwhile.

    Args:
        images: The images.
        prepare: From a Pillow image in RGB and its index to the (c, h, w) tensor a network takes; called in
            the threads.
        chunks: Indices of the images of each.
        workers: Threads.

    Raises:
        TypeError: ``prepare`` gives no floating-point tensor (c, h, w).
    """

    def load(item: int) -> torch.Tensor | str:
        try:
            image = images.read(item)
        except UnreadableImageError as error:
            return str(error.__cause__ or error)
        tensor = prepare(image, item)
        if not isinstance(tensor, torch.Tensor) or tensor.ndim != 3 or not tensor.is_floating_point():
            found = tensor.shape if isinstance(tensor, torch.Tensor) else type(tensor).__name__
            raise TypeError(
                f"preprocess: expected a floating-point tensor (c, h, w) of image {images.ids[item]}, "
                f"found {found}"
            )
        return tensor

    pool = ThreadPoolExecutor(workers)
    try:
        ahead: deque[list[Future[torch.Tensor | str]]] = deque()
        for chunk in chunks:
            ahead.append([pool.submit(load, item) for item in chunk])
            if len(ahead) > _AHEAD:
                yield [future.result() for future in ahead.popleft()]
        while ahead:
            yield [future.result() for future in ahead.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)


def stacked(
    images: ImageSet, tensors: Mapping[int, torch.Tensor], module: torch.nn.Module, device: torch.device
) -> torch.Tensor:
    """One batch (n, c, h, w) of prepared images, where and as the network takes it.

    Raises:
        ValueError: They are not of one size; two of them are named.
    """
    first = next(iter(tensors))
    for item, tensor in tensors.items():
        if tensor.shape != tensors[first].shape:
            raise ValueError(
                f"preprocess: expected images of one size, found {tuple(tensors[first].shape)} for "
                f"{images.ids[first]} and {tuple(tensor.shape)} for {images.ids[item]}"
            )
    weight = next(module.parameters(), None)
    # A network in half precision takes images in half precision.
    dtype = weight.dtype if weight is not None and weight.is_floating_point() else tensors[first].dtype
    return torch.stack(list(tensors.values())).to(device, dtype)
