"""RDX: two representations of the same items in, explanations of their differences out."""

import os
from dataclasses import replace

import torch

from diptych import ops
from diptych._build import versions
from diptych._progress import Stages
from diptych.ops import _checks
from diptych.ops.difference_affinity import DIFFERENCES, MAX_BETA
from diptych.ops.packed_affinity import STEPS
from diptych.ops.sampled_affinity import NEIGHBORS, SAMPLES, check_sample
from diptych.rdx.affinities import Affinities, Pair, dense_affinities
from diptych.rdx.align import align_by_cka
from diptych.rdx.checkpoint import load_sample, save_sample
from diptych.rdx.distances import DISTANCES, safely_scaled
from diptych.rdx.distributed import assist, team_affinities
from diptych.rdx.grids import CONVENTIONS
from diptych.rdx.inputs import Ids, Source, load_pair
from diptych.rdx.job import as_numpy, leading, prepared, received
from diptych.rdx.planning import PRECISIONS
from diptych.rdx.profile import measured_parts
from diptych.rdx.results import Explanations, Parameters, RDXResult
from diptych.rdx.sampling import SAMPLINGS, Sample, pagerank_sample, spectral_sample, told_of_too_few
from diptych.rdx.score import binary_success_rate, pooled, success_rates
from diptych.rdx.streamed import Means, streamed_affinities
from diptych.rdx.team import Team

ALIGNMENTS = (None, "a_to_b", "b_to_a")

# Mean size of F - 1 below which a difference may be rounding: 5,000 embeddings and their rotated copy in
# float32 lie 2e-7 apart, two networks a single optimiser step apart 4e-3.
_SLIGHT = 1e-4

# Relative costs of the stages, for the progress bar.
_COSTS = {"align": 1, "distances": 4, "affinity": 2, "explain A": 5, "explain B": 5, "score": 1}


def compare(
    a: Source,
    b: Source,
    *,
    n_explanations: int = 5,
    grid_size: int = 9,
    gamma: float = 0.1,
    beta: float = 5.0,
    distance: str = "neighborhood",
    difference: str = "locally_biased",
    sampling: str = "spectral",
    align: str | None = None,
    conventions: str = "default",
    seed: int = 0,
    precision: str = "auto",
    neighbors: int | None = None,
    samples: int | None = None,
    ids: Ids = "auto",
    workspace: str | os.PathLike[str] | None = None,
    resume: bool = False,
    profile: bool = False,
    distributed: bool = False,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> RDXResult:
    """Explain what each of two representations groups together that the other does not.

    RDX (Kondapaneni, Mac Aodha & Perona 2025): distances of all pairs in both, their locally biased
    difference, a symmetric affinity for each direction, clusters of it, and from each cluster the grid of
    items that one representation alone holds together.

    Args:
        a: (n, d_a) embeddings: numpy, torch, cupy, one opened by :func:`diptych.embed.open_embedding`, or a
            path to .npy, .npz, .safetensors, .pt or a folder of shards. Files and memory maps are read into
            memory, half precision a block at a time.
        b: (n, d_b) embeddings of the same items in the same order.
        n_explanations: Explanations per direction, m; n must be above it.
        grid_size: Items per grid, 1 to 257.
        gamma: Sensitivity of the locally biased difference, above 0; subtraction has none.
        beta: Sharpness of the affinity, above 0 and at most 80.
        distance: ``"neighborhood"`` (ranks), ``"max"`` (Euclidean over the largest), ``"local"`` (scaled
            by each item's 7th neighbor).
        difference: ``"locally_biased"``, or ``"subtraction"`` of distances scaled to [0, 1].
        sampling: ``"spectral"`` (m + 1 normalised-cut clusters, the weakest discarded) or ``"pagerank"``.
        align: None, ``"a_to_b"`` or ``"b_to_a"``: first map one linearly towards the other by CKA.
        conventions: How grids are chosen: ``"default"``, ``"paper"`` or ``"published-code"``; see
            :mod:`diptych.rdx.grids`. ``"published-code"`` also adds 1 to the minimum in the locally biased
            difference and takes the symmetric local scaling.
        seed: Of clustering and alignment; the result is the same for a seed.
        precision: ``"float32"`` holds two n × n matrices; ``"int8"`` one, of bytes, made a block of rows at a
            time, and looks at the most promising grids again in float32; ``"auto"`` takes float32 up to
            n = 10,000 where it fits and no workspace is given. ``"sampled"``, for n beyond that, holds a few
            pairs of each item, estimates the rest, and looks at the most promising grids again, exactly; see
            :class:`diptych.ops.SampledAffinity`.
        neighbors: K, nearest neighbors of each item in either representation that are surely kept when
            sampled; default 128. Given, it asks for ``"sampled"``.
        samples: S, at least so many of an item's other pairs are kept; default 1024. Likewise.
        ids: Ids of the items, which must be the same in the same order where both sides have them:
            ``"auto"`` takes those that :func:`diptych.embed.find_ids` finds beside files, a pair of arrays or
            paths (either may be None) gives those of a and of b, None looks for none.
        workspace: Folder for what is finished, so that a job that was killed can be resumed, and for the
            affinities themselves where memory is short. Needs ``"int8"`` (up to 2 n² bytes) or ``"sampled"``
            (8 n (2 K + S)), of which some hundred KB stay behind until the folder is removed.
        resume: Go on with what the workspace holds.
        profile: Measure what each part of the work does beside what the machine can do: see
            :attr:`RDXResult.profile`.
        distributed: Share the work among the processes of torch.distributed's default group, all of which
            make this call with the same arguments and get the same result. Needs ``"int8"`` or
            ``"sampled"``.
        device: Where to compute; default: where the arrays are.
        progress: Show a progress bar on stderr when it takes longer than two seconds.

    Returns:
        :class:`RDXResult`.

    Complexity:
        O(n² (d_a + d_b)) time. Memory: two n × n arrays of 32 bits and row blocks, together at most 10 n²
        bytes; with ``"int8"`` n² bytes and 512 MiB of row blocks; with ``"sampled"`` 8 n (2 K + S) bytes and
        the same blocks.

    Raises:
        ValueError: Different numbers of items, n <= n_explanations, NaN, Inf, no variance, an option out
            of range, a file that cannot be read or is cut short meanwhile, ids that differ (the first place
            is told); the message names the argument or the file.
        TypeError: Not an array of real numbers, an option of another type.
        FileNotFoundError: No such file.
        FileExistsError: The workspace holds an unfinished job and ``resume`` was not asked for.
        MemoryError: It does not fit; the message tells what would.
        RuntimeError: ``distributed`` without a process group, or a process of it died.
    """
    parameters = _checked_parameters(
        Parameters(
            n_explanations,
            grid_size,
            gamma,
            beta,
            distance,
            difference,
            sampling,
            align,
            conventions,
            seed,
            precision,
            neighbors,
            samples,
        )
    )
    loaded, known_ids = load_pair(a, b, ids, device)
    _check_pair(*loaded, parameters)
    team = Team(loaded[0].device) if distributed else None
    parameters, means = prepared(parameters, loaded, workspace, resume, profile, progress, team)
    with Stages(_COSTS, enabled=progress and (team is None or team.leads)) as stages:
        raw = first, second = safely_scaled(loaded[0]), safely_scaled(loaded[1])
        if align is not None:
            stages.enter("align")
            first, second = _aligned(first, second, align, parameters.seed)
        if team is not None and not team.leads:
            assist((first, second), parameters, stages, means, team)
            return received(team, loaded)
        with leading(team):
            found, mutual = _explained((first, second), raw, parameters, stages, means, team)
            stages.enter("score")
            sides = [
                _explanations(sample, pair, raw_pair, parameters)
                for sample, pair, raw_pair in (
                    (found[0], (first, second), raw),
                    (found[1], (second, first), (raw[1], raw[0])),
                )
            ]
            cka = float(ops.linear_cka(raw[0], raw[1], check=False))
            aligned_cka = None if align is None else float(ops.linear_cka(first, second, check=False))
    result = RDXResult(
        a=sides[0],
        b=sides[1],
        parameters=parameters,
        # The arrays as they came: float embeddings in memory are not copied.
        embeddings=as_numpy(loaded),
        cka=cka,
        mutual_knn=mutual,
        seconds=stages.seconds,
        versions=versions(),
        profile=measured_parts(means.meter, first.device) if profile else [],
        ids=known_ids,
        aligned_cka=aligned_cka,
    )
    if team is not None:
        team.spread_bytes(result.to_bytes(embeddings=False))
    return result


def _explained(
    pair: Pair, raw: Pair, p: Parameters, stages: Stages, means: Means, team: Team | None
) -> tuple[list[Sample], float]:
    """The groups of both directions, and the share of mutual neighbors; from the workspace what it has."""
    stored = [load_sample(means.checkpoint, side) for side in (0, 1)]
    if stored[0] is not None and stored[1] is not None:
        return [stored[0].sample, stored[1].sample], stored[0].mutual_knn
    if team is not None:
        affinities = team_affinities(pair, raw, p, stages, means, team)
    elif p.precision == "float32":
        affinities = dense_affinities(pair, raw, p, stages)
    else:
        affinities = streamed_affinities(pair, raw, p, stages, means)
    samples = []
    for side, stage in enumerate(("explain A", "explain B")):
        stages.enter(stage)
        earlier = stored[side]
        if earlier is None:
            samples.append(_sample(affinities, side, pair[side], p))
            save_sample(means.checkpoint, side, samples[side], affinities.mutual_knn)
        else:
            samples.append(earlier.sample)
    mutual = affinities.mutual_knn
    if means.checkpoint is not None:
        means.checkpoint.remove("rows-")
        if means.mapped is not None:
            means.mapped.unlink()
    return samples, mutual


def _checked_parameters(p: Parameters) -> Parameters:
    """Refuse what is out of range; numpy's scalars become Python's, which JSON can hold."""
    _checks.integer("n_explanations", p.n_explanations, 1)
    _checks.integer("grid_size", p.grid_size, 1, 257)
    _checks.seed(p.seed)
    _checks.positive("gamma", p.gamma)
    _checks.positive("beta", p.beta)
    _checks.within("beta", p.beta, 0, MAX_BETA)
    _checks.one_of("distance", p.distance, DISTANCES)
    _checks.one_of("difference", p.difference, DIFFERENCES)
    _checks.one_of("sampling", p.sampling, SAMPLINGS)
    _checks.one_of("align", p.align, ALIGNMENTS)
    _checks.one_of("conventions", p.conventions, CONVENTIONS)
    _checks.one_of("precision", p.precision, PRECISIONS)
    p = _with_sample(p)
    return replace(
        p,
        n_explanations=int(p.n_explanations),
        grid_size=int(p.grid_size),
        gamma=float(p.gamma),
        beta=float(p.beta),
        seed=int(p.seed),
    )


def _with_sample(p: Parameters) -> Parameters:
    """Settle what is kept of each item if affinities are to be sampled."""
    if p.precision != "sampled" and p.neighbors is None and p.samples is None:
        return p
    if p.precision not in ("auto", "sampled"):
        raise ValueError(
            f"precision: {p.precision!r} holds all pairs, but neighbors or samples ask for a few of them"
        )
    neighbors = NEIGHBORS if p.neighbors is None else p.neighbors
    samples = SAMPLES if p.samples is None else p.samples
    _checks.integer("neighbors", neighbors, 1)
    _checks.integer("samples", samples, 1)
    return replace(p, precision="sampled", neighbors=int(neighbors), samples=int(samples))


def _check_pair(a: torch.Tensor, b: torch.Tensor, p: Parameters) -> None:
    _checks.same_device(a=a, b=b)
    _checks.item_count("a", len(a))
    if p.n_explanations + 1 > len(a):
        raise ValueError(
            f"n_explanations: {p.n_explanations} explanations and one discarded cluster need at least "
            f"{p.n_explanations + 1} items, found {len(a)}"
        )
    if p.neighbors is not None and p.samples is not None:
        check_sample(len(a), p.neighbors, p.samples)


def _aligned(a: torch.Tensor, b: torch.Tensor, align: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    if align == "a_to_b":
        return a @ align_by_cka(a, b, seed=seed).matrix.to(a.dtype), b
    return a, b @ align_by_cka(b, a, seed=seed).matrix.to(b.dtype)


def _sample(affinities: Affinities, side: int, source: torch.Tensor, p: Parameters) -> Sample:
    affinity = affinities.sides[side]
    if affinities.flat:
        labels = torch.full((len(affinity),), -1, device=affinity.device)
        note = "The two representations order all neighbors alike: there is no difference to explain."
        return Sample([], labels, torch.empty(0), [note])
    exact = None if affinities.exact is None else affinities.exact[side]
    if p.sampling == "pagerank":
        sample = pagerank_sample(affinity, p.n_explanations, p.grid_size, exact)
    else:
        with told_of_too_few(p.neighbors, p.samples):
            sample = spectral_sample(
                affinity, p.n_explanations, p.grid_size, p.conventions, source, p.seed, exact
            )
    if affinities.size < _SLIGHT:
        sample.notes.append(
            f"The two representations order nearly all neighbors alike (affinities differ from 1 by "
            f"{affinities.size:.1e} in the mean): these groups may show no more than rounding."
        )
    elif p.precision == "int8" and affinities.size < p.beta / (2 * STEPS):
        sample.notes.append(
            f"The differences are {affinities.size / p.beta:.1e} in the mean, below half a step of "
            f"precision='int8' ({0.5 / STEPS:.1e}): these groups may show no more than rounding, which "
            f"precision='float32' would tell."
        )
    return sample


def _explanations(
    sample: Sample,
    pair: tuple[torch.Tensor, torch.Tensor],
    raw_pair: tuple[torch.Tensor, torch.Tensor],
    p: Parameters,
) -> Explanations:
    rates, sizes = success_rates(sample.grids, *pair, "neighborhood")
    raw = binary_success_rate(sample.grids, *raw_pair) if p.align is not None else None
    return Explanations(
        grids=[grid.cpu().numpy() for grid in sample.grids],
        labels=sample.labels.cpu().numpy(),
        bsr=pooled(rates, sizes),
        bsr_per_grid=rates,
        mean_affinity=sample.mean_affinity.double().cpu().numpy(),
        raw_bsr=raw,
        notes=sample.notes,
    )
