"""Reading the annotations of the iNaturalist 2021 competition."""

import json
import os
from collections.abc import Collection, Mapping
from itertools import compress
from pathlib import Path
from typing import Any

from diptych.embed.image_sources import image_files
from diptych.embed.images import ImageSet
from diptych.embed.inaturalist import Observation
from diptych.embed.licenses import OPEN_LICENSES, license_name, licensed, wanted_licenses


def read_inaturalist_2021(
    annotations: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    licenses: Collection[str] | None = None,
) -> ImageSet:
    """Read a file of annotations of iNaturalist 2021 (train.json, train_mini.json or val.json).

    Images are named, not opened; theirs are of 500 pixels at most as they come. All classes of the file are
    numbered, in the order of their ids, as networks trained on the competition number them.

    Args:
        annotations: The .json file, of the form that COCO has: images (id, file_name, license,
            rights_holder), annotations (image_id, category_id), categories (id, name), licenses (id, name,
            url).
        folder: Where the images are; beside the file by default.
        licenses: Those that are wanted, as :func:`diptych.embed.read_inaturalist`.

    Returns:
        The images in the order of the file. Their ids are paths in the folder, their ``names`` species,
        licence and holder of the rights; ``notes`` count what was left out for its licence.

    Complexity:
        The file is read whole, and takes several times its size in memory.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: ``licenses`` is no list of names.
        ValueError: The file is damaged or lacks a field, an image lacks its class, no image is under the
            licences. The message names the file.
    """
    wanted = wanted_licenses(licenses)
    path = Path(annotations)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected annotations of iNaturalist 2021")
    try:
        content = json.loads(path.read_bytes())
        names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        labels = {entry["image_id"]: entry["category_id"] for entry in content["annotations"]}
        rights = {entry["id"]: _license(entry) for entry in content["licenses"]}
        files = [str(entry["file_name"]) for entry in content["images"]]
        seen = [_observation(entry, names[labels[entry["id"]]], rights) for entry in content["images"]]
        order = {each: number for number, each in enumerate(sorted(names))}
        numbers = [order[labels[entry["id"]]] for entry in content["images"]]
    except (KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path}: not annotations as iNaturalist 2021 has them: {what}") from error
    allowed, notes = licensed([each.license for each in seen], wanted, "images")
    images = image_files(
        path.parent if folder is None else Path(folder),
        list(compress(files, allowed)),
        list(compress(numbers, allowed)),
        [names[each] for each in sorted(names)],
        shown_as=[str(each) for each in compress(seen, allowed)],
    )
    return images.noted(*notes)


def _license(entry: Mapping[str, Any]) -> str:
    """The licence's name by its URL where that is a known one's, else by the name it has."""
    by_url = license_name(str(entry.get("url", "")))
    return by_url if by_url in OPEN_LICENSES else license_name(str(entry["name"]))


def _observation(entry: Mapping[str, Any], species: str, rights: Mapping[Any, str]) -> Observation:
    return Observation(
        str(entry["id"]), species, rights[entry["license"]], str(entry.get("rights_holder") or "")
    )
