"""Chat models: what a question is, and asking many of them."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol

from diptych._progress import Stages
from diptych.language.pictures import Picture, as_picture


class ChatError(RuntimeError):
    """A question that got no answer; the message says from whom and why.

    Attributes:
        status: The HTTP status, None where there was none.
        final: Whether every other question will fail likewise, as with a key that is refused.
    """

    def __init__(self, message: str, *, status: int | None = None, final: bool = False) -> None:
        super().__init__(message)
        self.status, self.final = status, final


class ChatModel(Protocol):
    """Anything that answers a question about pictures.

    A model may also have ``concurrency``, the number of questions it takes at a time (1 without it), and
    ``identity``, all that its answers depend on, which :class:`diptych.language.Cached` needs.
    """

    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        """Answer ``prompt`` about ``images`` (what :func:`diptych.language.as_picture` takes), in order.

        Raises:
            ChatError: There is no answer.
        """


@dataclass(frozen=True)
class Message:
    """One turn of a conversation: pictures first, then the text about them.

    Attributes:
        text: What is said.
        images: The pictures shown.
        role: "user", "system" or "assistant".
    """

    text: str
    images: tuple[Picture, ...] = ()
    role: str = "user"

    def __post_init__(self) -> None:
        if self.role not in ("user", "system", "assistant"):
            raise ValueError(f"role: expected 'user', 'system' or 'assistant', found {self.role!r}")


def question(prompt: str, images: Sequence[Any] = ()) -> Message:
    """Make the message of a question.

    Raises:
        TypeError: The prompt is no text, or an image no picture.
        ValueError: An empty prompt.
    """
    if not isinstance(prompt, str):
        raise TypeError(f"prompt: expected text, found {type(prompt).__name__}")
    if not prompt.strip():
        raise ValueError("prompt: expected text, found nothing but spaces")
    return Message(prompt, tuple(as_picture(image) for image in images))


def ask_many(
    model: ChatModel,
    questions: Sequence[tuple[str, Sequence[Any]]],
    *,
    shown: bool = True,
) -> list[str | Exception]:
    """Ask each (prompt, images), ``model.concurrency`` at a time, under a progress bar with an ETA.

    A question that fails leaves its error in its place and the others go on; after an error that is
    ``final`` nothing more is sent, and the questions left get that error too.

    Args:
        model: A chat model; its ``ask`` is called from threads if it has a ``concurrency`` above 1.
        questions: Prompts with their images, which are only read when their turn comes.
        shown: Whether the bar is shown.

    Returns:
        The answers or errors, in the order of the questions.
    """
    outcomes: list[str | Exception] = [ChatError("not asked")] * len(questions)
    failed: list[ChatError] = []
    stop = Event()

    def answer(prompt: str, images: Sequence[Any]) -> str:
        if stop.is_set():
            raise failed[0] if failed else ChatError("interrupted")
        try:
            return model.ask(prompt, images)
        except ChatError as error:
            if error.final:
                failed.append(error)
                stop.set()
            raise
        except (KeyboardInterrupt, SystemExit):
            stop.set()
            raise

    with Stages({"asking": 1.0}, enabled=shown) as stages:
        stages.enter("asking")
        pool = ThreadPoolExecutor(getattr(model, "concurrency", 1))
        try:
            places: dict[Future[str], int] = {
                pool.submit(answer, *each): place for place, each in enumerate(questions)
            }
            for done in as_completed(places):
                error = done.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                outcomes[places[done]] = done.result() if error is None else error
                stages.advance(1 / len(questions))
        finally:
            # Ctrl-C leaves with the questions under way, not with all that wait.
            stop.set()
            pool.shutdown(cancel_futures=True)
    return outcomes
