"""cupy in, cupy out: ops as drop-ins in code that keeps its arrays on a GPU, without a copy.

Says so and stops where cupy or a GPU is missing.

Run: python examples/cupy_drop_in.py
"""

import sys

from diptych import ops


def main() -> None:
    """Ranks and affinities of random embeddings, checked against cupy's own sort."""
    try:
        import cupy
    except ImportError:
        print("cupy is not installed: nothing to show (pip install cupy-cuda13x, or cupy-cuda12x)")
        sys.exit(0)
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        devices = 0
    if devices == 0:
        print("cupy finds no NVIDIA GPU: nothing to show")
        sys.exit(0)

    # Integers: their distances are exact, so that both sorts see the same ties.
    a, b = cupy.random.randint(0, 9, (2, 2000, 32)).astype(cupy.float32)
    ranks_a, ranks_b = ops.neighbor_ranks(a), ops.neighbor_ranks(b)
    assert isinstance(ranks_a, cupy.ndarray)

    # Instead of distances.argsort(1).argsort(1), which ranks an item behind its duplicates.
    distances = ops.pairwise_distances(a, metric="sqeuclidean")
    cupy.fill_diagonal(distances, -1)
    order = cupy.argsort(distances, axis=1, kind="stable")
    assert bool((cupy.argsort(order, axis=1) == ranks_a).all())

    forward, backward = ops.difference_affinity(ranks_a, ranks_b)
    print(
        f"{type(forward).__module__}.{type(forward).__name__} {forward.shape} by {ops.last_backend()}, "
        f"mean affinities {float(forward.mean()):.3f} and {float(backward.mean()):.3f}"
    )


if __name__ == "__main__":
    main()
