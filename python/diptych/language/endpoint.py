"""Where questions are sent, and the credentials that go with them and appear nowhere else."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

_CHAT = "/chat/completions"
# The one thing in a query that is no secret: Azure's dialect.
_VERSION = "api-version="


@dataclass(frozen=True)
class Endpoint:
    """An address without credentials; as text it is what messages and caches hold."""

    base: str
    query: str

    @property
    def chat(self) -> str:
        """The address questions go to."""
        return f"{self.base}{_CHAT}{self.query}"

    def __str__(self) -> str:
        return f"{self.base}{self.query}"

    @staticmethod
    def read(url: str) -> "tuple[Endpoint, tuple[str, str] | None]":
        """Split a URL into the endpoint and the user and password in it, if any.

        Raises:
            TypeError: Not a string.
            ValueError: No http or https, no host, a bad port, a query or a fragment.
        """
        if not isinstance(url, str):
            raise TypeError(f"url: expected a string, found {type(url).__name__}")
        url = url.strip()
        # No message repeats what was given: it may be a key in the wrong place, or hold a password.
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("url: expected http://HOST:PORT/..., found no such host or port") from None
        if parts.scheme not in ("http", "https") or not host:
            missing = "host" if parts.scheme in ("http", "https") else "http:// or https:// in front"
            raise ValueError(f"url: expected http://HOST/... or https://HOST/..., found no {missing}")
        if not url.isprintable() or " " in url:
            raise ValueError("url: expected an address without spaces and control characters")
        place = f"[{host}]" if ":" in host else host
        place += "" if port is None else f":{port}"
        if parts.fragment or (parts.query and not _harmless(parts.query)):
            raise ValueError(
                f"url: expected no query or fragment (but {_VERSION}) after {place}{parts.path}; a key "
                "belongs in key= or key_from="
            )
        path = parts.path.rstrip("/").removesuffix(_CHAT)
        login = None
        if parts.username is not None:
            login = unquote(parts.username), unquote(parts.password or "")
        base = urlunsplit((parts.scheme, place, path, "", ""))
        return Endpoint(base, f"?{parts.query}" if parts.query else ""), login


class Secret:
    """A key or a login; its text form shows neither."""

    def __init__(self, header: str | None, hidden: Sequence[str] = ()) -> None:
        self._header = header
        # The longest first: one may be a part of another.
        self._hidden = sorted((text for text in hidden if text), key=len, reverse=True)

    @staticmethod
    def read(key: str | None, variable: str | None, login: tuple[str, str] | None) -> "Secret":
        """Take a key, the environment variable that holds it, or a login: one of them at most.

        Raises:
            TypeError: The key is no string.
            ValueError: More than one, a variable that is not set, or a key that no header can hold.
        """
        if sum(each is not None for each in (key, variable, login)) > 1:
            raise ValueError("key: expected one of key=, key_from= and a user in the URL, found several")
        if login is not None:
            token = base64.b64encode(":".join(login).encode()).decode("ascii")
            return Secret(f"Basic {token}", (token, login[1]))
        if variable is not None:
            key = os.environ.get(variable, "")
            if not key.strip():
                raise ValueError(f"key_from: the environment variable {variable} is not set, or empty")
        if key is None:
            return Secret(None)
        if not isinstance(key, str):
            raise TypeError(f"key: expected a string, found {type(key).__name__}")
        key = key.strip()
        if not key or not key.isascii() or not key.isprintable():
            raise ValueError("key: expected printable ASCII characters")
        return Secret(f"Bearer {key}", (key,))

    def headers(self) -> dict[str, str]:
        """What to send with each question."""
        return {} if self._header is None else {"Authorization": self._header}

    def hidden(self, text: str) -> str:
        """A text, as of a server that repeats what it was sent, without the secret."""
        for secret in self._hidden:
            text = text.replace(secret, "***")
        return text

    def __repr__(self) -> str:
        return "Secret(***)" if self._hidden else "Secret(none)"


def _harmless(query: str) -> bool:
    return query.startswith(_VERSION) and "&" not in query
