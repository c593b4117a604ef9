"""RSVC: activations of two networks on the same patches in, how well each tells the other's concepts out."""

import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from diptych._build import versions
from diptych._progress import Stages, track
from diptych.ops import _checks
from diptych.ops._arrays import Array
from diptych.rsvc.concepts import MAX_CONCEPTS, METHODS, Concepts, extract_many
from diptych.rsvc.evaluate import decisions, regressed, similarities
from diptych.rsvc.heads import Head
from diptych.rsvc.inputs import CheckedPatches, ClassPatches, checked
from diptych.rsvc.replacement import CONVENTIONS
from diptych.rsvc.results import Parameters, RSVCResult

# Relative costs of the stages, for the progress bar.
_COSTS = {"extract": 5, "regress": 4, "evaluate": 1, "replace": 3}

ERRORS = ("raise", "skip")

#: Is told which class cannot be compared, and why.
Refused = Callable[[Hashable, Exception], None]

Heads = tuple[Head | None, Head | None]
Loader = ClassPatches | Callable[[], ClassPatches]


def compare(
    acts_1: Array,
    acts_2: Array,
    *,
    k: int = 10,
    groups: Array | None = None,
    eval_acts_1: Array | None = None,
    eval_acts_2: Array | None = None,
    eval_groups: Array | None = None,
    rows_1: Array | None = None,
    rows_2: Array | None = None,
    head_1: Head | None = None,
    head_2: Head | None = None,
    target: int | tuple[int, int] | None = None,
    labels: Array | None = None,
    method: str = "auto",
    alpha: float = 0.1,
    folds: int = 5,
    conventions: str = "default",
    seed: int = 0,
    progress: bool = True,
) -> RSVCResult:
    """Find the concepts of two networks in images of one class, and how well each can express the other's.

    RSVC (Kondapaneni, Mac Aodha & Perona 2025, arXiv 2503.15699): concepts of each network
    (:func:`extract`), their coefficients on all patches (:func:`refit`); for each concept a lasso on the
    activations of the other network and of its own (:func:`predict`); the correlation of predicted and real
    coefficients on patches of other images (CMCS and SMCS), and without regression that of the best match
    (MCS). With heads also what each concept matters to the class logit
    (:func:`concept_integrated_gradients`), and what changes when its coefficients are replaced by predicted
    ones (:func:`replacement_test`).

    Args:
        acts_1: (n, d1) activations of network 1 on the training patches: numpy, torch or cupy.
        acts_2: (n, d2) of network 2 on the same patches in the same order, on the same device.
        k: Concepts of each network.
        groups: (n,) integers or strings, the image each patch is of; None: every patch is an image. At least
            ``folds`` images, in RSVC 5 to 200.
        eval_acts_1: (m, d1) of network 1 on patches of other images, for importance, replacement and all
            similarities. None: these are measured on the training patches, each predicted by the one fold
            model that did not see its image; the result's ``evaluated_on`` tells which.
        eval_acts_2: (m, d2) of network 2 on the same.
        eval_groups: (m,) the image each of these is of; None: every patch is an image.
        rows_1: (n,) bool, the patches that network 1's concepts are extracted from (in RSVC those of images
            that network 1 takes for the class, while regressions see those of both networks). None: all.
        rows_2: (n,) bool, the same for network 2.
        head_1: What makes logits of network 1's activations; see :func:`concept_integrated_gradients`.
        head_2: The same for network 2.
        target: The class' number in the heads' logits, or a pair, one for each head.
        labels: (m,) right class of each evaluated patch, for the accuracy of the replacement test; None takes
            what the head says before anything is replaced.
        method: ``"nmf"``, ``"semi_nmf"``, or ``"auto"``: NMF where no activation is below 0.
        alpha: Weight of the lasso's penalty, above 0.
        folds: Folds of images that the regressions are trained on.
        conventions: ``"published-code"`` averages predicted and real coefficients in the replacement test.
        seed: Of the extraction; the result is the same for a seed.
        progress: Show a progress bar on stderr when it takes longer than two seconds.

    Returns:
        :class:`RSVCResult`, in numpy.

    Complexity:
        O(n d k) time per iteration of the extraction, and twice :func:`predict` of 2 k concepts: two Gram
        matrices serve all four directions. Memory: three times the larger of the activations.

    Raises:
        ValueError: Other numbers of patches, fewer images than folds, more concepts than patches, constant
            activations, NaN or Inf, negative activations given to ``"nmf"``, a head without target, an option
            out of range; the message names the argument.
        TypeError: Not an array of real numbers, an option of another type.
    """
    patches = ClassPatches(
        acts_1, acts_2, groups, eval_acts_1, eval_acts_2, eval_groups, rows_1, rows_2, target, labels
    )
    options = checked_options(k, method, alpha, folds, conventions, seed)
    heads = head_1, head_2
    with Stages(_COSTS, enabled=progress) as stages:
        stages.enter("extract")
        ready = _checked_patches(patches, options, heads)
        found = extracted([ready], options)[0]
        result = _compared(ready, found, options, heads, stages)
    result.seconds = dict(stages.seconds)
    return result


def compare_classes(
    classes: Mapping[Hashable, Loader],
    *,
    k: int = 10,
    head_1: Head | None = None,
    head_2: Head | None = None,
    method: str = "auto",
    alpha: float = 0.1,
    folds: int = 5,
    conventions: str = "default",
    seed: int = 0,
    batch: int = 8,
    errors: str | Refused = "raise",
    progress: bool = True,
) -> Iterator[tuple[Hashable, RSVCResult]]:
    """Compare two networks class by class, and give each class' result as soon as it is there.

    What is given can be saved before the next class begins: a job that was stopped goes on with the classes
    that are still missing.

    Args:
        classes: The patches of each class by its name, or functions that load them when their turn comes.
        k: As :func:`compare`; so all that follow.
        head_1: Of network 1, for all classes; each class has its own ``target``.
        head_2: Of network 2.
        method: How concepts are extracted.
        alpha: Weight of the lasso's penalty.
        folds: Folds of images.
        conventions: Of the replacement test.
        seed: Of the extraction, in every class.
        batch: Classes that are loaded, and whose concepts are extracted, together: on a GPU one call.
        errors: ``"raise"``, or ``"skip"``: a class that cannot be compared (that one network never predicts,
            of fewer images than folds) is left out, and a ``RuntimeWarning`` tells which and why. Or a
            function that is told instead: it gets the class' name and the error.
        progress: Show a progress bar with the expected end on stderr.

    Yields:
        (name, :class:`RSVCResult`) in the order of the classes; each but for rounding what :func:`compare`
        finds of the class alone.

    Complexity:
        As :func:`compare` for each class; memory for the activations of ``batch`` classes.

    Raises:
        ValueError: As :func:`compare`, naming the class. What is wrong with the options is told at once,
            what is wrong with a class when its batch is loaded.
        TypeError: As :func:`compare`.
    """
    options = checked_options(k, method, alpha, folds, conventions, seed)
    _checks.integer("batch", batch, 1)
    if not callable(errors):
        _checks.one_of("errors", errors, ERRORS)
    if not isinstance(classes, Mapping):
        raise TypeError(f"classes: expected a mapping of names to patches, found {type(classes).__name__}")
    return _each_class(dict(classes), options, (head_1, head_2), batch, errors, progress)


def _each_class(
    classes: dict[Hashable, Loader],
    options: Parameters,
    heads: Heads,
    batch: int,
    errors: str | Refused,
    progress: bool,
) -> Iterator[tuple[Hashable, RSVCResult]]:
    names = list(classes)
    waiting: dict[Hashable, tuple[CheckedPatches, tuple[Concepts, Concepts]]] = {}
    seconds = 0.0
    for place, name in enumerate(track(names, "Comparing classes", shown=progress)):
        if place % batch == 0:
            begun = time.perf_counter()
            waiting = _prepared(
                {each: classes[each] for each in names[place : place + batch]}, options, heads, errors
            )
            seconds = (time.perf_counter() - begun) / max(1, len(waiting))
        if name not in waiting:
            continue
        result = None
        with _told_of(name, errors):
            with Stages(_COSTS, enabled=False) as stages:
                result = _compared(*waiting.pop(name), options, heads, stages)
            result.seconds = {"extract": seconds, **stages.seconds}
        if result is not None:
            yield name, result


def _prepared(
    classes: dict[Hashable, Loader], options: Parameters, heads: Heads, errors: str | Refused
) -> dict[Hashable, tuple[CheckedPatches, tuple[Concepts, Concepts]]]:
    """Load some classes and extract their concepts."""
    ready = {}
    for name, patches in classes.items():
        with _told_of(name, errors):
            ready[name] = _checked_patches(patches() if callable(patches) else patches, options, heads)
    concepts = extracted(list(ready.values()), options)
    return dict(zip(ready, zip(ready.values(), concepts, strict=True), strict=True))


@contextmanager
def _told_of(name: Hashable, errors: str | Refused) -> Iterator[None]:
    """Name the class in errors, or in warnings where a class is to be left out."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if errors == "raise":
            raise type(error)(f"class {name!r}: {error}") from error
        if callable(errors):
            errors(name, error)
            return
        warnings.warn(f"class {name!r} is left out: {error}", RuntimeWarning, stacklevel=2)


def checked_options(k: int, method: str, alpha: float, folds: int, conventions: str, seed: int) -> Parameters:
    """Refuse what is out of range; numpy's scalars become Python's, which JSON can hold."""
    _checks.integer("k", k, 1, MAX_CONCEPTS)
    _checks.one_of("method", method, METHODS)
    _checks.positive("alpha", alpha)
    _checks.integer("folds", folds, 2)
    _checks.one_of("conventions", conventions, CONVENTIONS)
    _checks.seed(seed)
    return Parameters(int(k), method, float(alpha), int(folds), conventions=conventions, seed=int(seed))


def _checked_patches(patches: ClassPatches, options: Parameters, heads: Heads) -> CheckedPatches:
    ready = checked(patches, options.k, options.method, options.folds)
    for number, head, target in zip((1, 2), heads, ready.targets, strict=True):
        if head is not None and target is None:
            raise ValueError(
                f"target: expected the number of the class in head_{number}'s logits, found None"
            )
    return ready


def extracted(ready: list[CheckedPatches], options: Parameters) -> list[tuple[Concepts, Concepts]]:
    """Both networks' concepts in each class."""
    sides = [
        extract_many([each.own[side] for each in ready], options.k, options.method, options.seed)
        for side in (0, 1)
    ]
    return list(zip(*sides, strict=True))


def _compared(
    ready: CheckedPatches,
    concepts: tuple[Concepts, Concepts],
    options: Parameters,
    heads: Heads,
    stages: Stages,
) -> RSVCResult:
    """Everything after the extraction."""
    stages.enter("regress")
    sides = regressed(ready.training, ready.evaluation, ready.groups, concepts, options.alpha, options.folds)
    stages.enter("evaluate")
    measured = similarities(sides)
    stages.enter("replace")
    decided = decisions(sides, heads, ready.targets, ready.labels, options.conventions)
    return RSVCResult(
        **measured,
        **decided,
        groups=ready.eval_groups,
        evaluated_on="held-out folds" if ready.evaluation is None else "evaluation patches",
        parameters=replace(options, target_1=ready.targets[0], target_2=ready.targets[1]),
        versions=versions(),
    )
