"""A client for any endpoint that speaks the chat completions protocol of OpenAI's.

Written on httpx, not on the openai package: of that protocol one request is needed, which many servers speak
(vLLM, llama.cpp, Ollama, commercial ones), while the package reads keys and addresses from variables of its
own accord. Nothing is sent anywhere but to the URL given.
"""

import base64
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import sleep
from typing import TYPE_CHECKING, Any

from diptych.embed._extras import require
from diptych.language.chat import ChatError, Message, question
from diptych.language.endpoint import Endpoint, Secret

if TYPE_CHECKING:
    import httpx

# Statuses of a server that may answer the same question later.
_PASSING = frozenset([408, 429])
# Of one that will answer no question: no money, no such key, no rights, no such address or model.
_FINAL = frozenset([401, 402, 403, 404])

_SHOWN = 300
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0


@dataclass(frozen=True)
class _Failure:
    """Why an attempt got no answer, and in how many seconds the server wants the next one."""

    reason: str
    status: int | None = None
    passing: bool = True
    wait: float | None = None


class OpenAICompatible:
    """A vision-language model behind an OpenAI-compatible endpoint.

    Questions go to ``{url}/chat/completions`` with images as data URLs. Statuses 408, 429 and 5xx,
    timeouts and broken connections are tried again after 1, 2, 4, ... seconds (with up to a quarter more by
    chance, so that many clients do not return at once), or when the server's Retry-After says. Redirects are
    not followed: they would carry the key elsewhere. Proxies are taken from the environment as usual.

    May be asked from several threads at a time. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str | None = None,
        key_from: str | None = None,
        temperature: float | None = 0.0,
        max_tokens: int | None = 1024,
        seed: int | None = None,
        timeout: float = 120.0,
        retries: int = 5,
        patience: float = 300.0,
        concurrency: int = 4,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            url: Base address, like "http://localhost:8000/v1"; a user and password in it are sent by basic
                authentication, and shown nowhere.
            model: The name under which the endpoint knows the model.
            key: The API key. It is kept in memory only and shown nowhere.
            key_from: The environment variable that holds the key, instead of ``key``; without either none is
                sent.
            temperature: Sampling temperature; None leaves it, like the next two, to the endpoint.
            max_tokens: Longest answer in tokens.
            seed: Seed of the sampling, where the endpoint knows one.
            timeout: Seconds without a byte from the server before an attempt is given up.
            retries: Attempts after the first.
            patience: Longest Retry-After, in seconds, that is waited for; a longer one is an error.
            concurrency: Questions under way at a time in :func:`diptych.language.ask_many`.

        Raises:
            ModuleNotFoundError: httpx is not installed.
            TypeError: The URL, the model or the key is no text.
            ValueError: A URL without http(s) or host or with a query, a variable that is not set, both kinds
                of key, or a number out of its range.
        """
        endpoint, login = Endpoint.read(url)
        if not isinstance(model, str) or not model.strip():
            raise ValueError(f"model: expected the name of a model, found {model!r}")
        _check_range("retries", retries, 0)
        _check_range("concurrency", concurrency, 1)
        _check_range("timeout", timeout, 0, open_end=True)
        _check_range("patience", patience, 0)
        self._secret = Secret.read(key, key_from, login)
        self.model, self.concurrency, self._endpoint = model, concurrency, endpoint
        self._retries, self._patience = retries, patience
        wanted = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}
        self._options = {name: value for name, value in wanted.items() if value is not None}
        self._http = require("httpx", extra="language")
        try:
            self._http.URL(endpoint.chat)
        except self._http.InvalidURL as error:
            raise ValueError(f"url: {endpoint}: {error}") from None
        self._client: httpx.Client = self._http.Client(
            # Whoever asks from more threads than that waits for a connection as long as it takes.
            timeout=self._http.Timeout(timeout, pool=None),
            headers=self._secret.headers(),
            limits=self._http.Limits(max_connections=concurrency),
        )

    @property
    def identity(self) -> Mapping[str, Any]:
        """What answers depend on: URL without credentials, model, sampling options."""
        return {"url": str(self._endpoint), "model": self.model, **self._options}

    def __repr__(self) -> str:
        return f"OpenAICompatible({str(self._endpoint)!r}, {self.model!r})"

    def __enter__(self) -> "OpenAICompatible":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        """Send one question and wait for its answer.

        Args:
            prompt: The question.
            images: What :func:`diptych.language.as_picture` takes; sent before the prompt, in order.

        Raises:
            ChatError: No answer after all attempts, an answer that is none, or a status that says no.
            TypeError: The prompt is no text, or an image no picture.
            ValueError: An empty prompt, or an unreadable image.
        """
        body = {
            "model": self.model,
            "messages": [_wire(question(prompt, images))],
            **self._options,
        }
        content = json.dumps(body).encode()
        attempt = 0
        while isinstance(outcome := self._attempt(content), _Failure):
            wait = outcome.wait
            if wait is None:
                wait = min(_FIRST_WAIT * 2.0**attempt * random.uniform(1.0, 1.25), _LONGEST_WAIT)
            attempt += 1
            if not outcome.passing or attempt > self._retries or wait > self._patience:
                raise self._error(outcome, attempt, wait)
            sleep(wait)
        return outcome

    def _attempt(self, content: bytes) -> str | _Failure:
        try:
            reply = self._client.post(
                self._endpoint.chat, content=content, headers={"Content-Type": "application/json"}
            )
        except self._http.TimeoutException:
            return _Failure(f"no answer within {self._client.timeout.read:g} seconds")
        except self._http.TransportError as error:
            return _Failure(f"no connection: {error or type(error).__name__}")
        except self._http.HTTPError as error:
            return _Failure(str(error) or type(error).__name__, passing=False)
        status = reply.status_code
        if not reply.is_success:
            return _Failure(
                f"status {status}: {_server_message(reply)}",
                status,
                passing=status in _PASSING or status >= 500,
                wait=_retry_after(reply.headers.get("Retry-After")),
            )
        kind = reply.headers.get("Content-Type", "nothing").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            return _Failure(f"expected JSON, found {kind}: {_cut(reply.text)}", status, passing=False)
        try:
            return _answer(reply.json())
        except (ValueError, RecursionError) as error:
            return _Failure(f"{error} in {_cut(reply.text)}", status, passing=False)

    def _error(self, failure: _Failure, attempts: int, wait: float) -> ChatError:
        said = self._secret.hidden(failure.reason)
        tries = f" after {attempts} attempts" if attempts > 1 else ""
        if failure.passing and attempts <= self._retries:
            tries += f" (it asks to wait {wait:.0f} seconds, patience={self._patience:g})"
        return ChatError(
            f"{self._endpoint}: no answer from {self.model}{tries}: {said}",
            status=failure.status,
            final=failure.status in _FINAL,
        )


def _check_range(name: str, value: float, least: float, *, open_end: bool = False) -> None:
    if not (value > least if open_end else value >= least):
        raise ValueError(f"{name}: expected {'more than' if open_end else 'at least'} {least}, found {value}")


def _wire(message: Message) -> dict[str, Any]:
    """A message as the protocol has it."""
    parts: list[dict[str, Any]] = []
    for image in message.images:
        data = base64.b64encode(image.data).decode("ascii")
        parts.append({"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{data}"}})
    parts.append({"type": "text", "text": message.text})
    return {"role": message.role, "content": parts}


def _answer(reply: Any) -> str:
    """The text of a reply.

    Raises:
        ValueError: There is none.
    """
    try:
        message = reply["choices"][0]["message"]
        content = message.get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ValueError("expected choices[0].message, found none") from None
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if isinstance(content, str) and content.strip():
        return content
    if message.get("refusal"):
        raise ValueError(f"the model refuses: {_cut(str(message['refusal']))}")
    raise ValueError("expected a text in choices[0].message.content, found none")


def _server_message(reply: "httpx.Response") -> str:
    """What the server says of an error, cut."""
    if reply.is_redirect:
        return "a redirect, which is not followed: give the address it leads to"
    try:
        said = reply.json()
        said = said.get("error", said)
        said = said.get("message", said) if isinstance(said, dict) else said
    except (ValueError, AttributeError, RecursionError):
        said = reply.text
    return _cut(said if isinstance(said, str) else json.dumps(said)) or reply.reason_phrase


def _cut(text: str) -> str:
    text = " ".join(text[: 4 * _SHOWN].split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _retry_after(value: str | None) -> float | None:
    """Seconds that a server asks to wait, from a number of them or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
