"""Licences of pictures: one spelling for each, which are wanted, and how a picture is credited."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

#: What a picture without a licence is under.
ALL_RIGHTS_RESERVED = "all rights reserved"

#: Under which a picture may be shown to others, on the terms that its name tells.
OPEN_LICENSES = (
    "CC0",
    "CC BY",
    "CC BY-SA",
    "CC BY-ND",
    "CC BY-NC",
    "CC BY-NC-SA",
    "CC BY-NC-ND",
)

_URL = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)")
_VERSION = re.compile(r"\s+v?[0-9][0-9.]*\b.*$")
_NONE = frozenset(["", "c", "©", "none", "null", "copyright", "no license", ALL_RIGHTS_RESERVED])


def license_name(text: str) -> str:
    """The usual name of a licence that may be written in many ways.

    "CC-BY-NC", "cc-by-nc 4.0" and "https://creativecommons.org/licenses/by-nc/4.0/" are "CC BY-NC"; "CC0",
    "CC-0" and ".../publicdomain/zero/1.0/" are "CC0"; nothing at all is "all rights reserved". Other
    licences keep their own names.
    """
    plain = text.strip()
    url = _URL.search(plain.casefold())
    code = url[1] if url else _VERSION.sub("", plain.casefold().replace("_", "-"))
    code = code.strip().removeprefix("cc").strip(" -").replace(" ", "-")
    if code in ("zero", "0"):
        return "CC0"
    name = f"CC {code.upper()}"
    if name in OPEN_LICENSES:
        return name
    return ALL_RIGHTS_RESERVED if plain.casefold() in _NONE else plain


def wanted_licenses(licenses: Collection[str] | None) -> frozenset[str]:
    """The licences that are wanted by the names of :func:`license_name`; all open ones by default.

    Raises:
        TypeError: Not a collection of names.
        ValueError: None, or one that stands for no licence.
    """
    if licenses is None:
        return frozenset(OPEN_LICENSES)
    if isinstance(licenses, str) or not isinstance(licenses, Collection):
        raise TypeError(f"licenses: expected a list of names such as 'CC BY', found {licenses!r}")
    if not licenses or not all(isinstance(name, str) and name.strip() for name in licenses):
        raise ValueError(f"licenses: expected names such as 'CC BY', found {list(licenses)!r}")
    return frozenset(map(license_name, licenses))


def licensed(found: Sequence[str], wanted: Collection[str], things: str) -> tuple[list[bool], list[str]]:
    """Which of some things are under wanted licences, and a note that counts the others.

    Args:
        found: The licence of each.
        wanted: From :func:`wanted_licenses`.
        things: What they are, in the plural.

    Raises:
        ValueError: None of them is.
    """
    others = Counter(name for name in found if name not in wanted)
    told = ", ".join(f"{name} ({count})" for name, count in sorted(others.items()))
    if others.total() == len(found):
        raise ValueError(
            f"licenses: expected {things} under {', '.join(sorted(wanted))}, found {told or 'none'}"
        )
    note = f"{others.total()} of {len(found)} {things} were left out for their licence: {told}."
    return [name in wanted for name in found], [note] if others else []
