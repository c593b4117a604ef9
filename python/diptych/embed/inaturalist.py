"""Reading an export of iNaturalist's observations together with the pictures that were downloaded for it."""

import csv
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from diptych._text import some
from diptych.embed.image_sources import image_files, images_under
from diptych.embed.images import ImageSet
from diptych.embed.licenses import ALL_RIGHTS_RESERVED, license_name, licensed, wanted_licenses
from diptych.ops import _checks

#: The longest side of the study's pictures, the size that iNaturalist calls medium.
LONGEST_SIDE = 500

# By column, from the one that is believed first; where a row has it empty, the next is looked at.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id",),
    "taxon": ("taxon_species_name", "scientific_name", "taxon_name", "taxon"),
    "license": ("license", "license_code"),
    "user": ("user_login", "user_name", "user_id"),
    "common_name": ("common_name",),
    "url": ("url", "uri"),
    "image_url": ("image_url",),
}
_NEEDED = ("id", "taxon")
_PHOTO = re.compile(r"/photos/([0-9]+)")


@dataclass(frozen=True)
class Observation:
    """What the export tells of a picture.

    Attributes:
        id: iNaturalist's number of the observation.
        species: Scientific name, the picture's class.
        license: Under which it may be used, by the names of :func:`diptych.embed.licenses.license_name`.
            The export has the observation's; a photo's own may differ, which the photo's page tells.
        user: Who made it, "" if the export does not say.
        common_name: Name of the species in words, "" likewise.
        url: Page of the observation, "" likewise.
    """

    id: str
    species: str
    license: str
    user: str = ""
    common_name: str = ""
    url: str = ""

    @property
    def credit(self) -> str:
        """Licence and maker, as in "CC BY, someuser"."""
        return f"{self.license}, {self.user}" if self.user else self.license

    def __str__(self) -> str:
        return f"{self.species} — {self.credit}"


def read_inaturalist(
    folder: str | os.PathLike[str],
    *,
    table: str | os.PathLike[str] | None = None,
    licenses: Collection[str] | None = None,
    longest_side: int | None = LONGEST_SIDE,
) -> ImageSet:
    """Read an export of iNaturalist's observations; pictures are named, not opened.

    Nothing is downloaded here. inaturalist.org exports observations as a .csv file, whose column image_url
    says where the pictures are; fetch them by a tool of your own into this folder, one of each observation,
    named by the observation's id (123.jpg) or by the photo's id, the number in image_url. They may lie in
    folders of any depth and have any ending of an image.

    Of the table's columns id and one of taxon_species_name, scientific_name, taxon_name and taxon are needed,
    and license, unless pictures without one are asked for; user_login, common_name and url are taken where
    they are there. The classes are species: of a subspecies or variety the first two words of its name.

    Args:
        folder: Holds the pictures, and the .csv file or files of the export unless ``table`` says where.
        table: The export's .csv file.
        licenses: Those that are wanted, as ("CC0", "CC BY"); by default all Creative Commons licences. An
            observation without one, which is all rights reserved, is left out, unless
            "all rights reserved" is among them.
        longest_side: Pixels to which the longest side of larger pictures is shrunk on reading, with
            antialiasing; None to leave them. The study's are of 500 pixels (thesis sec. 4.5.4). The set's
            fingerprint depends on it.

    Returns:
        The images in the order of the table. Their ids are paths in the folder, their ``names`` species,
        licence and maker ("Acer rubrum — CC BY, someuser"); ``notes`` count and name what was left out for
        its licence, for want of a species, or because its picture is not there.

    Raises:
        FileNotFoundError: No such folder or table, or none of the pictures is there.
        TypeError: ``licenses`` is no list of names, ``longest_side`` no whole number.
        ValueError: A table that cannot be read or lacks a column, an observation that comes twice, none under
            the licences, two pictures of one observation, a longest side below 1. The message names the file.
    """
    if longest_side is not None:
        _checks.integer("longest_side", longest_side, 1)
    root = Path(folder)
    chosen, notes = _chosen(root, table, licenses)
    classes = sorted({each.species for each in chosen.values()})
    number = {name: position for position, name in enumerate(classes)}
    images = image_files(
        root,
        list(chosen),
        [number[each.species] for each in chosen.values()],
        classes,
        longest_side=longest_side,
        shown_as=[str(each) for each in chosen.values()],
    )
    return images.noted(*notes)


def inaturalist_observations(
    folder: str | os.PathLike[str],
    *,
    table: str | os.PathLike[str] | None = None,
    licenses: Collection[str] | None = None,
) -> dict[str, Observation]:
    """What the export tells of each image of :func:`read_inaturalist`, by the image's id, in their order.

    Args and errors are those of :func:`read_inaturalist`.
    """
    return _chosen(Path(folder), table, licenses)[0]


class _Row(NamedTuple):
    seen: Observation
    photo: str  #: The photo's id, "" if unknown.


def _chosen(
    root: Path, table: str | os.PathLike[str] | None, licenses: Collection[str] | None
) -> tuple[dict[str, Observation], list[str]]:
    """The observations by the paths of their pictures, and what was left out."""
    wanted = wanted_licenses(licenses)
    rows = _read(root, table, wanted)
    named = [row for row in rows if row.seen.species]
    notes: list[str] = []
    if len(named) < len(rows):
        ids = some([row.seen.id for row in rows if not row.seen.species])
        notes.append(f"{len(rows) - len(named)} of {len(rows)} observations have no species: {ids}.")
    allowed, about = licensed([row.seen.license for row in named], wanted, "observations")
    kept = list(compress(named, allowed))
    notes += about
    paths = _pictures(root, kept)
    missing = [row.seen.id for row in kept if row.seen.id not in paths]
    if not paths:
        first = kept[0]
        names = " or ".join(f"{name}.jpg" for name in (first.seen.id, first.photo) if name)
        raise FileNotFoundError(
            f"{root}: none of the {len(kept)} pictures is there, expected such as {names}; they are not "
            "downloaded by diptych"
        )
    if missing:
        notes.append(f"{len(missing)} of {len(kept)} pictures are not there: {some(missing)}.")
    return {paths[row.seen.id]: row.seen for row in kept if row.seen.id in paths}, notes


def _read(root: Path, table: str | os.PathLike[str] | None, wanted: Collection[str]) -> list[_Row]:
    """All rows of the tables, each observation once."""
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    paths = sorted(root.glob("*.csv")) if table is None else [Path(table)]
    if not paths:
        raise FileNotFoundError(
            f"{root}: no .csv file; expected iNaturalist's export of observations, or table="
        )
    found: dict[str, _Row] = {}
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; expected iNaturalist's export of observations")
        for line, row in _of_table(path, ALL_RIGHTS_RESERVED not in wanted):
            if row.seen.id in found:
                raise ValueError(
                    f"{path}, line {line}: observation {row.seen.id} is there for the second time"
                )
            found[row.seen.id] = row
    if not found:
        raise ValueError(f"{paths[0]}: expected at least one observation, found none")
    return list(found.values())


def _of_table(path: Path, license_needed: bool) -> Iterator[tuple[int, _Row]]:
    """The rows of a table, each with the number of its last line."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = [name.strip().casefold() for name in next(reader, [])]
            places = _places(path, header, license_needed)
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    raise ValueError(
                        f"{path}, line {reader.line_num}: expected {len(header)} cells, found {len(cells)}"
                    )
                values = {
                    name: next((cells[at].strip() for at in each if cells[at].strip()), "")
                    for name, each in places.items()
                }
                if not values["id"]:
                    raise ValueError(f"{path}, line {reader.line_num}: expected an id, found none")
                yield reader.line_num, _row(values)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}, line {reader.line_num}: not a .csv file in UTF-8: {error}") from error


def _places(path: Path, header: Sequence[str], license_needed: bool) -> dict[str, list[int]]:
    """Where each value is looked for in a row."""
    places = {
        name: [header.index(each) for each in known if each in header] for name, known in _COLUMNS.items()
    }
    for name in (*_NEEDED, "license") if license_needed else _NEEDED:
        if not places[name]:
            known = " or ".join(_COLUMNS[name])
            raise ValueError(
                f"{path}: expected a column {known}, found {', '.join(filter(None, header)) or 'none'}"
            )
    return places


def _row(values: Mapping[str, str]) -> _Row:
    photo = _PHOTO.search(values["image_url"])
    seen = Observation(
        values["id"],
        _species(values["taxon"]),
        license_name(values["license"]),
        values["user"],
        values["common_name"],
        values["url"],
    )
    return _Row(seen, photo[1] if photo else "")


def _species(name: str) -> str:
    """The species of a taxon: hybrids, and what is no species, stay as they are."""
    words = name.split()
    crossed = any(word in ("×", "x") for word in words)
    return " ".join(words if crossed else words[:2])


def _pictures(root: Path, rows: Sequence[_Row]) -> dict[str, str]:
    """Path of each observation's picture, by the observation's id, of those that are there."""
    files: dict[str, list[str]] = {}
    for path in images_under(root, ""):
        files.setdefault(Path(path).stem, []).append(path)
    by_id = {row.seen.id: row.seen.id for row in rows}
    by_photo = {row.seen.id: row.photo for row in rows if row.photo}
    # A photo's number may be another observation's: the naming that fits more of the files goes first, and
    # what it takes is not taken again.
    namings = sorted((by_id, by_photo), key=lambda each: -sum(stem in files for stem in each.values()))
    found: dict[str, str] = {}
    for naming in namings:
        for observation, stem in naming.items():
            if observation in found or stem not in files:
                continue
            paths = files.pop(stem)
            if len(paths) > 1:
                raise ValueError(
                    f"{root}: expected one picture named {stem}, found {' and '.join(paths[:2])}"
                )
            found[observation] = paths[0]
    return found
