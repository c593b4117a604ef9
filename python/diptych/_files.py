"""Writing files so that what bears the final name is always whole, and putting names in order."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Endings of image files, in lower case.
IMAGE_ENDINGS = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".webp",
        ".avif",
        ".ppm",
        ".pgm",
        ".pnm",
    ]
)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well.

    When the block raises (a full disk, Ctrl-C) the temporary file is removed and ``path`` is as before.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~umask())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def umask() -> int:
    """Return the permissions that new files are denied."""
    current = os.umask(0)
    os.umask(current)
    return current


def is_image_name(name: str) -> bool:
    """Whether a file of this name counts as an image: by its ending, hidden files do not."""
    return os.path.splitext(name)[1].casefold() in IMAGE_ENDINGS and not name.startswith(".")


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key by which "item 2" comes before "item 10"."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], name
