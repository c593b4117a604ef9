"""Affinities of both directions, estimated from a few pairs of each item while rows stream by."""

from collections.abc import Iterator
from contextlib import contextmanager

from diptych import ops
from diptych._progress import Stages
from diptych.rdx.affinities import Affinities, Pair, gamma, offset
from diptych.rdx.results import Parameters
from diptych.rdx.streamed import Means, NearRows, affinities_of, mutual_of, written


def sampled_affinities(pair: Pair, raw: Pair, p: Parameters, stages: Stages, means: Means) -> Affinities:
    """Make and rank a block of rows at a time; keep the nearest pairs of each item and some of the others.

    8 n (2 ``p.neighbors`` + ``p.samples``) bytes and two blocks of rows.
    """
    assert p.neighbors is not None
    assert p.samples is not None
    stages.enter("distances")
    n = len(pair[0])
    near = NearRows(pair, p, means.meter)
    affinity = ops.SampledAffinity(
        n,
        p.neighbors,
        p.samples,
        gamma(p, n),
        p.beta,
        difference=p.difference,
        offset=offset(p),
        seed=p.seed,
        device=pair[0].device,
    )
    size, common = written(affinity, near, p, means, stages, (0, n))
    stages.enter("affinity")
    return affinities_of(affinity.directions, near, p, mutual_of(raw, p, common), size)


@contextmanager
def told_of_too_few(p: Parameters) -> Iterator[None]:
    """Say what to do where the clusters of a sample cannot be found: few pairs tell mostly noise."""
    try:
        yield
    except RuntimeError as error:
        if p.precision != "sampled" or "no convergence" not in str(error):
            raise
        raise RuntimeError(
            f"{error}: neighbors={p.neighbors} and samples={p.samples} are too few, ask for more"
        ) from error
