"""Reading NABirds, birds of North America, from its unpacked folder."""

import os
from pathlib import Path

from diptych.embed.image_sources import image_files
from diptych.embed.images import ImageSet
from diptych.embed.listed import flag, known_classes, same_ids, table
from diptych.embed.splits import Split, check_split

_NAME = "NABirds"


def read_nabirds(folder: str | os.PathLike[str], *, split: Split = "all") -> ImageSet:
    """Read the text files of NABirds (Van Horn et al. 2015); images are named, not opened.

    Takes the folder ``nabirds`` as it unpacks: images.txt, image_class_labels.txt, train_test_split.txt,
    classes.txt and images/. CUB-200-2011 has the same files, and is read as well.

    classes.txt lists a hierarchy of 1,011 classes, of which 555 have images: these alone are numbered, from
    0 in the order of their ids, as networks trained on the images number them.

    Args:
        folder: The unpacked folder.
        split: The images of the suggested split that are wanted: "all", "train" or "test".

    Returns:
        The images in the order of images.txt; their ids are the paths below images/.

    Raises:
        FileNotFoundError: A file is missing; the message names it.
        ValueError: A line cannot be read, an id comes twice or is not one that the other files have, an
            image lacks its class or split, another split. The message names file and line.
    """
    check_split(split)
    root = Path(folder)
    names = table(root / "images.txt", str, str, _NAME)
    classes = table(root / "classes.txt", int, str, _NAME)
    labels = table(root / "image_class_labels.txt", str, int, _NAME)
    is_train = table(root / "train_test_split.txt", str, flag, _NAME)
    same_ids(root / "image_class_labels.txt", labels, names)
    same_ids(root / "train_test_split.txt", is_train, names)
    known_classes(root / "image_class_labels.txt", labels, classes)
    used = sorted(set(labels.values()))
    position = {class_id: number for number, class_id in enumerate(used)}
    chosen = [image for image in names if split == "all" or is_train[image] == (split == "train")]
    if not chosen:
        raise ValueError(f"{root / 'train_test_split.txt'}: expected images of the {split} split, found none")
    return image_files(
        root / "images",
        [names[image] for image in chosen],
        [position[labels[image]] for image in chosen],
        [classes[class_id] for class_id in used],
    )
