"""Pages as HTML, and the files that they refer to; all of them are in this package."""

from importlib.resources import files
from typing import Any

import jinja2
from fastapi.responses import HTMLResponse, Response

_HERE = files("diptych.collect")
_TYPES = {".css": "text/css", ".js": "text/javascript"}

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FunctionLoader(lambda name: (_HERE / "templates" / name).read_text("utf-8")),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# Read once: a request chooses among these names, and none becomes a path.
_STATIC = {
    file.name: (file.read_bytes(), _TYPES["." + file.name.rpartition(".")[2]])
    for file in (_HERE / "static").iterdir()
}


def page(template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page; whatever it shows is escaped, and no cache keeps it."""
    text = _ENVIRONMENT.get_template(template).render(**context)
    return HTMLResponse(text, status_code=status, headers={"cache-control": "no-store"})


def static(name: str) -> Response | None:
    """A file that pages refer to, None if there is none of this name."""
    if name not in _STATIC:
        return None
    content, media_type = _STATIC[name]
    return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})
