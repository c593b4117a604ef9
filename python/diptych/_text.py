"""Text from outside in tables, and lists of names in messages."""

from collections.abc import Iterable


def storable(text: str) -> str:
    """Text that UTF-8 can hold, and so tables: lone surrogates are written out, as ``\\udce9``.

    Undecodable bytes in the name of a file or folder reach Python as lone surrogates; written out, names that
    differ still do.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def some(names: Iterable[str], limit: int = 5, separator: str = ", ") -> str:
    """The first of some names and how many there are beyond: "a, b and 1,200 more"."""
    listed = list(names)
    more = f" and {len(listed) - limit:,} more" if len(listed) > limit else ""
    return separator.join(listed[:limit]) + more
