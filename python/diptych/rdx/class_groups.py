"""The classes that the study compares image models on (thesis Table 4.7), and choosing images of classes."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from diptych._text import some
from diptych.embed.images import ImageSet
from diptych.ops import _checks

#: Images of each class in the study.
IMAGES_PER_CLASS = 500

_OFFERED = 5
_WORDNET = re.compile(r"n[0-9]{8}\b")


@dataclass(frozen=True)
class ClassGroup:
    """Classes that are easily confused, and the models that were compared on them.

    Attributes:
        dataset: "imagenet", or "inaturalist".
        models: The pair of models, a name in :data:`diptych.rdx.image_models.PRESETS`.
        classes: English names of the classes by WordNet id, which ImageNet's folders are called by; of
            iNaturalist those of genera by their scientific names.
    """

    dataset: Literal["imagenet", "inaturalist"]
    models: str
    classes: Mapping[str, str]


def _of_imagenet(**classes: str) -> ClassGroup:
    return ClassGroup("imagenet", "dino-dinov2", classes)


def _of_inaturalist(**genera: str) -> ClassGroup:
    return ClassGroup("inaturalist", "clip-inat", genera)


#: The groups of thesis Table 4.7 (arXiv 2505.23917). Of iNaturalist the study took four species of maples,
#: two corvids and two gators, whose names are not known here: a group is all the species of these genera that
#: the images have. Name the species instead to compare some of them.
CLASS_GROUPS: Mapping[str, ClassGroup] = {
    "mittens": _of_imagenet(n03775071="mitten", n03026506="Christmas stocking", n04254777="sock"),
    "gibbons": _of_imagenet(n02483362="gibbon", n02483708="siamang", n02493793="spider monkey"),
    "trolleybus": _of_imagenet(n04487081="trolleybus", n04146614="school bus", n03895866="passenger car"),
    "whippet": _of_imagenet(n02091134="whippet", n02091831="Saluki", n02091032="Italian greyhound"),
    "maples": _of_inaturalist(Acer="maples"),
    "corvids": _of_inaturalist(Corvus="crows and ravens"),
    "gators": _of_inaturalist(Alligator="alligators", Crocodylus="crocodiles"),
}

# The classes of ImageNet whose WordNet id is known here, and their names.
_SYNSETS = {
    synset: name
    for group in CLASS_GROUPS.values()
    if group.dataset == "imagenet"
    for synset, name in group.classes.items()
}


def choose(
    images: ImageSet,
    group: str | ClassGroup | Sequence[str],
    *,
    per_class: int = IMAGES_PER_CLASS,
    seed: int = 0,
) -> ImageSet:
    """Choose images of some classes at random.

    Args:
        images: Images with classes, as :func:`diptych.embed.read_images` gives them.
        group: A group, its name in :data:`CLASS_GROUPS` (which goes before a class of the same name), or
            names of classes. A class of a group is known by its WordNet id as by its name, whichever of them
            the images have ("n02091134", "whippet", "n02091134_whippet"); a genus stands for its species;
            capital letters, hyphens and underscores make no difference.
        per_class: Images of each class, at most.
        seed: Of the choice, which is the same for a seed and the same images.

    Returns:
        The chosen images in the order they had, with these classes alone, in the group's order, those of
        ImageNet by their English names. Classes with fewer images are told in ``notes``.

    Raises:
        TypeError: Names that are no text, a number that is not whole.
        ValueError: Images without classes, no names, a class that the images lack (what they have is told), a
            class without images, ``per_class`` below 1.
    """
    _checks.integer("per_class", per_class, 1)
    _checks.seed(seed)
    labels = images.labels
    if images.classes is None or labels is None:
        raise ValueError("classes: expected images with classes, a folder for each, found images alone")
    wanted = _wanted(images.classes, group)
    random = np.random.default_rng(seed)
    number = np.full(len(images), -1, np.int64)
    few = []
    for position, each in enumerate(wanted):
        members = np.flatnonzero(np.isin(labels, each.numbers))
        if not len(members):
            raise ValueError(f"classes: expected images of {each.called}, found none")
        if len(members) < per_class:
            few.append(f"{each.called} ({len(members)})")
        number[random.permutation(members)[:per_class]] = position
    chosen = np.flatnonzero(number >= 0)
    found = images.take(chosen).relabelled(number[chosen], [each.called for each in wanted])
    return found.noted(f"Fewer than {per_class} images of {', '.join(few)}.") if few else found


class _Wanted(NamedTuple):
    called: str
    numbers: list[int]  #: The classes of the images that it is.


def _wanted(classes: Sequence[str], group: str | ClassGroup | Sequence[str]) -> list[_Wanted]:
    if isinstance(group, str):
        group = CLASS_GROUPS.get(group, [group])
    if isinstance(group, ClassGroup):
        if group.dataset == "inaturalist":
            return [each for genus in group.classes for each in _species(classes, genus)]
        return [_synset(classes, synset, name) for synset, name in group.classes.items()]
    if not isinstance(group, Sequence) or not all(isinstance(name, str) for name in group):
        raise TypeError(f"classes: expected the name of a group, or names of classes, found {group!r}")
    if not group:
        raise ValueError("classes: expected at least one, found none")
    found: dict[tuple[int, ...], _Wanted] = {}
    for name in group:
        for each in _named(classes, name):
            found.setdefault(tuple(each.numbers), each)
    return list(found.values())


def _synset(classes: Sequence[str], synset: str, name: str) -> _Wanted:
    numbers = [number for number, each in enumerate(classes) if _keys(each) & {synset, _plain(name)}]
    if not numbers:
        raise ValueError(f"classes: the images have no {synset} ({name}), but {some(classes)}")
    return _Wanted(name, numbers)


def _species(classes: Sequence[str], genus: str) -> list[_Wanted]:
    found = _of_genus(classes, genus)
    if not found:
        raise ValueError(f"classes: the images have no species of {genus}, but {some(classes)}")
    return found


def _of_genus(classes: Sequence[str], genus: str) -> list[_Wanted]:
    """Classes whose last two words are the genus and its species, also behind kingdom, phylum and so on."""
    words = [_plain(each).split() for each in classes]
    return [
        _Wanted(classes[number], [number])
        for number, each in enumerate(words)
        if len(each) > 1 and each[-2] == _plain(genus)
    ]


def _named(classes: Sequence[str], name: str) -> list[_Wanted]:
    """The class of this name, or the species of this genus."""
    keys = {_plain(name)}
    keys |= {synset for synset, word in _SYNSETS.items() if _plain(word) in keys}
    keys |= {_plain(_SYNSETS[key]) for key in keys & _SYNSETS.keys()}
    numbers = [number for number, each in enumerate(classes) if _keys(each) & keys]
    if numbers:
        called = classes[numbers[0]]
        return [_Wanted(_SYNSETS.get(called, called), numbers)]
    species = _of_genus(classes, name)
    if species:
        return species
    near = difflib.get_close_matches(name, classes, _OFFERED, 0.5)
    offered = f"the nearest are {', '.join(near)}" if near else f"there are {some(classes)}"
    raise ValueError(
        f"classes: no class {name!r} among the images, {offered}; the groups are {', '.join(CLASS_GROUPS)}"
    )


def _keys(name: str) -> set[str]:
    """What a class of the images answers to: its name, the first of several, its WordNet id."""
    plain = _plain(name)
    synset = _WORDNET.match(plain)
    if synset is None:
        return {plain, plain.partition(",")[0]}
    return {plain, synset[0], plain[synset.end() :].strip(" ,.").partition(",")[0]}


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.casefold())).strip()
