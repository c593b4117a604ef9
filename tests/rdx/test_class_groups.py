"""The study's groups of classes, and choosing images of classes."""

from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from diptych.embed import ImageSet, open_images
from diptych.rdx import CLASS_GROUPS, choose
from diptych.rdx.image_models import PRESETS


def of_classes(*names: str, each: int = 4) -> ImageSet:
    """Images of these classes in turn, tiny and all alike."""
    n = each * len(names)
    images = open_images(np.zeros((n, 2, 2), np.uint8))
    return images.relabelled(np.arange(n) % len(names), names)


def classes_of(images: ImageSet) -> list[str]:
    assert images.labels is not None
    assert images.classes is not None
    return [images.classes[label] for label in images.labels.tolist()]


def test_the_ids_are_those_of_the_classes_that_the_study_names() -> None:
    info = files("timm").joinpath("data", "_info")
    synsets = info.joinpath("imagenet_synsets.txt").read_text().split()
    lemmas = dict(
        line.split("\t") for line in info.joinpath("imagenet_synset_to_lemma.txt").read_text().splitlines()
    )
    indices = {
        "mittens": [658, 496, 806],
        "gibbons": [368, 369, 381],
        "trolleybus": [874, 779, 705],
        "whippet": [172, 176, 171],
    }
    for name, expected in indices.items():
        group = CLASS_GROUPS[name]
        assert (group.dataset, group.models) == ("imagenet", "dino-dinov2")
        assert [synsets.index(synset) for synset in group.classes] == expected
        for synset, called in group.classes.items():
            assert lemmas[synset].split(", ")[0] == called
    others = CLASS_GROUPS.keys() - indices.keys()
    assert others == {"maples", "corvids", "gators"}
    assert {CLASS_GROUPS[name].models for name in others} == {"clip-inat"} < PRESETS.keys()


@pytest.mark.parametrize(
    "names",
    [
        ("n03026506", "n04254777", "n01440764", "n03775071"),
        ("Christmas_stocking", "sock", "tench", "Mitten"),
        ("n03026506-christmas stocking", "n04254777_sock", "n01440764", "n03775071, mitten"),
        ("Christmas stocking", "sock, anklet", "tench, Tinca tinca", "mitten"),
    ],
)
def test_a_group_in_folders_of_any_names(names: tuple[str, ...]) -> None:
    images = of_classes(*names)
    chosen = choose(images, "mittens", per_class=3, seed=1)
    assert chosen.classes == ("mitten", "Christmas stocking", "sock")
    assert sorted(classes_of(chosen)) == ["Christmas stocking"] * 3 + ["mitten"] * 3 + ["sock"] * 3
    called = {0: "Christmas stocking", 1: "sock", 3: "mitten"}
    assert classes_of(chosen) == [called[int(item) % 4] for item in chosen.ids]
    assert chosen.notes == ()


def test_the_choice_is_the_same_for_a_seed() -> None:
    images = of_classes("a", "b", each=50)
    first, again, other = (choose(images, ["b", "a"], per_class=5, seed=seed) for seed in (0, 0, 1))
    assert first.ids.tolist() == again.ids.tolist() != other.ids.tolist()
    assert first.ids.astype(int).tolist() == sorted(first.ids.astype(int).tolist())
    assert first.classes == ("b", "a")
    everything = choose(images, ["a", "b"])
    assert len(everything) == 100
    assert everything.notes == ("Fewer than 500 images of a (50), b (50).",)


@pytest.mark.parametrize(
    ("group", "classes"),
    [
        ("maples", ("Acer rubrum", "02_Plantae_Sapindaceae_Acer_negundo")),
        ("corvids", ("Corvus corax",)),
        ("gators", ("Alligator mississippiensis", "Crocodylus acutus")),
        (["acer", "Corvus corax"], ("Acer rubrum", "02_Plantae_Sapindaceae_Acer_negundo", "Corvus corax")),
        (["corvus-corax", "Corvus"], ("Corvus corax",)),
    ],
)
def test_a_genus_stands_for_its_species(group: str | list[str], classes: tuple[str, ...]) -> None:
    images = of_classes(
        "Acer rubrum",
        "02_Plantae_Sapindaceae_Acer_negundo",
        "Acer",
        "Corvus corax",
        "Alligator mississippiensis",
        "Crocodylus acutus",
        "Acerola rubra",
    )
    if isinstance(group, list):
        images = choose(images, [name for name in images.classes or () if name != "Acer"], per_class=4)
    assert choose(images, group, per_class=2).classes == classes


def test_classes_of_a_group_by_id_or_name() -> None:
    by_id, by_name = of_classes("n04254777", "n02091134", "x"), of_classes("sock", "whippet", "x")
    for images in (by_id, by_name):
        assert choose(images, ["whippet", "n04254777", "X"]).classes == ("whippet", "sock", "x")
        assert choose(images, "sock").classes == ("sock",)
    with pytest.raises(ValueError, match=r"the images have no n02091831 \(Saluki\), but sock, whippet, x"):
        choose(by_name, "whippet")  # the group, not the class


@pytest.mark.parametrize(
    ("group", "options", "error", "message"),
    [
        ("mittens", {}, ValueError, r"no n03775071 \(mitten\), but robin, wren, gull, owl, tit and 1 more"),
        ("gators", {}, ValueError, r"no species of Alligator, but robin, wren"),
        (
            "maple",
            {},
            ValueError,
            "no class 'maple' among the images, there are robin.*; the groups are mittens",
        ),
        (["wrens"], {}, ValueError, "no class 'wrens' among the images, the nearest are wren;"),
        (["hawk"], {}, ValueError, "classes: expected images of hawk, found none"),
        ([], {}, ValueError, "classes: expected at least one, found none"),
        ([3], {}, TypeError, r"classes: expected the name of a group, or names of classes, found \[3\]"),
        (7, {}, TypeError, "classes: expected the name of a group, or names of classes, found 7"),
        ("wren", {"per_class": 0}, ValueError, "per_class: expected 1 to .*, found 0"),
        ("wren", {"per_class": 2.5}, TypeError, r"per_class: expected an integer, found 2\.5"),
        ("wren", {"seed": -1}, ValueError, "seed: expected 0 to"),
    ],
)
def test_what_cannot_be_chosen(group: Any, options: dict[str, Any], error: type, message: str) -> None:
    images = of_classes("robin", "wren", "gull", "owl", "tit")
    images = images.relabelled(np.arange(20) % 5, [*(images.classes or ()), "hawk"])
    with pytest.raises(error, match=message):
        choose(images, group, **options)


def test_images_without_classes() -> None:
    with pytest.raises(ValueError, match="classes: expected images with classes, a folder for each, found"):
        choose(open_images(np.zeros((3, 2, 2), np.uint8)), "mittens")
