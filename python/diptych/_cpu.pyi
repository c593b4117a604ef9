from typing import Any

from numpy.typing import NDArray

MAX_NEIGHBORS: int
BLOCK_WIDTH: int
COMPILER: str
OPENMP: str

def simd_level() -> str: ...
def distances(
    products: NDArray[Any],
    norms_x: NDArray[Any],
    norms_y: NDArray[Any],
    squared: bool,
    out: NDArray[Any],
    threads: int,
) -> None: ...
def direct_distances(x: NDArray[Any], y: NDArray[Any], squared: bool, out: NDArray[Any]) -> None: ...
def ranks(distances: NDArray[Any], first_row: int, out: NDArray[Any], threads: int) -> None: ...
def ranks_from_products(
    products: NDArray[Any], norms: NDArray[Any], first_row: int, out: NDArray[Any], threads: int
) -> None: ...
def locally_biased_difference(
    a: NDArray[Any], b: NDArray[Any], gamma: float, offset: float, out: NDArray[Any], threads: int
) -> None: ...
def difference_affinity(
    a: NDArray[Any],
    b: NDArray[Any],
    subtraction: bool,
    gamma: float,
    beta: float,
    offset: float,
    out_ab: NDArray[Any],
    out_ba: NDArray[Any],
    threads: int,
) -> None: ...
def knn_affinity(
    affinity: NDArray[Any],
    labels: NDArray[Any],
    scores: NDArray[Any],
    neighbors: NDArray[Any],
    threads: int,
) -> None: ...
def kmeans(
    x: NDArray[Any],
    centers: NDArray[Any],
    labels: NDArray[Any],
    inertia: NDArray[Any],
    max_iter: int,
    threshold: float,
    threads: int,
) -> None: ...
def block_product(matrix: NDArray[Any], x: NDArray[Any], out: NDArray[Any], threads: int) -> None: ...
