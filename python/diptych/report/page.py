"""What every page shares: one file without any reference to another, or to a network."""

import base64
import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from diptych.report import words

_FOLDER = files("diptych.report") / "templates"
_STYLE = "style.css"


def render(
    template: str,
    context: dict[str, Any],
    *,
    data: Any,
    style: str | None = None,
    script: str,
    libraries: Iterable[str] = (),
    evaluates: bool = False,
) -> bytes:
    """Return a page as UTF-8.

    A content security policy in the page forbids every connection and every script but the page's own,
    which it names by their hashes.

    Args:
        template: Name of a template that extends ``base.html.j2``.
        context: What the template shows; everything is escaped.
        data: What the page's script reads, as JSON.
        style: Name of a stylesheet of its own, beside the one that all pages share.
        script: Name of the page's script.
        libraries: Texts of scripts that run before it.
        evaluates: Whether a library compiles text as a program, which the policy then allows.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": words.percent, "decimal": words.decimal, "figure": words.figure}
    scripts = [*(text.replace("\r\n", "\n") for text in libraries), _read(script)]
    page = environment.get_template(template).render(
        **context,
        style=Markup("".join(_read(name) for name in (_STYLE, style) if name)),
        scripts=[Markup(text) for text in scripts],
        script_hashes=[_hash(text) for text in scripts],
        evaluates=evaluates,
        data=Markup(embedded_json(data)),
    )
    # Undecodable bytes in a file name reach Python as lone surrogates, which UTF-8 cannot hold.
    return page.encode("utf-8", "replace")


def embedded_json(value: Any) -> str:
    """JSON that is inert inside a script element: no tag or comment can begin or end in it."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def all_versions(packages: Iterable[str], result: dict[str, str]) -> dict[str, str]:
    """Versions of the software that made a page, then of that which made the result."""
    return {**{name: version(name) for name in packages}, **result}


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
