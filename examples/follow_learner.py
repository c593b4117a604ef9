"""Guess what a learner believes, from its answers alone, and look at what it really believed.

A tracer is trained on simulated learners who adjust a linear classifier to feedback, each from beliefs and
with a learning rate of its own. Then it follows one that it never saw, and says which region of the images
that one would call by which name. As the learner is simulated, its own regions are known (above in the
picture); a person's are not, then the tracer's are all there is.

Run: python examples/follow_learner.py [PICTURE] [LEARNERS] [EPOCHS]
"""

import sys

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from diptych import tracing
from diptych.plots.axes import MARKS
from diptych.plots.style import cluster_color
from diptych.tracing.learners import Laws, Learners, Pool, draw_learners

CLASSES = ("oak", "elm", "ash", "lime")
CENTRES = 1.6 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
STEPS, SHOWN = 30, (0, 3, 8, 16, 30)
LAWS = Laws(ability=1.0, learning_rate=(0.4, 1.2), forgetting=0.0, lapse=0.05, spread=1.5)
SEEN = 3.6  # Half the side of the square that is drawn.

Classifier = tuple[np.ndarray, np.ndarray]


def images(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return images, here points in a plane, and their classes."""
    labels = np.arange(n) % len(CLASSES)
    noise = np.random.default_rng(0).normal(size=(n, 2))
    return (CENTRES[labels] + 0.8 * noise).astype(np.float32), labels


def train(points: np.ndarray, labels: np.ndarray, learners: int, epochs: int) -> tracing.Tracer:
    """Return a tracer that knows how such learners answer."""
    answers = tracing.simulate("gradient", learners, STEPS, features=points, labels=labels, **vars(LAWS))
    return tracing.fit(answers, "fast_weight", epochs=epochs)


def follow(
    tracer: tracing.Tracer, learner: Learners, points: np.ndarray, labels: np.ndarray
) -> tuple[list[Classifier], list[Classifier]]:
    """Teach a learner, tell the tracer its answers; return what it held and what the tracer guessed."""
    random = np.random.default_rng(5)
    held, guessed = [], []
    tracer.start("new")
    for step in range(STEPS + 1):
        if step in SHOWN:
            matrix = learner.matrix[0]
            held.append((matrix[:, :-1], matrix[:, -1]))
            guessed.append(tracer.classifier())
        shown = random.integers(len(points))
        chances = learner.probabilities(points[None, [shown]].astype(float))[0, 0]
        answer = random.choice(len(CLASSES), p=chances)
        tracer.update(points[shown], int(labels[shown]), int(answer))
        learner.learn(points[[shown]].astype(float), labels[[shown]])
    return held, guessed


def regions(classifier: Classifier, places: np.ndarray) -> np.ndarray:
    """Return which class is likeliest at each place."""
    weights, offsets = classifier
    return (places @ weights.T + offsets).argmax(-1)


def draw(held: list[Classifier], guessed: list[Classifier], points: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw the learner's own regions above the tracer's."""
    figure = Figure(figsize=(10, 4.6), layout="constrained", facecolor="white")
    axis = np.linspace(-SEEN, SEEN, 240)
    places = np.stack(np.meshgrid(axis, axis), -1)
    grid = figure.subplots(2, len(SHOWN), subplot_kw={"xticks": [], "yticks": [], "aspect": "equal"})
    for ax, classifier in zip(grid.ravel(), held + guessed, strict=True):
        ax.imshow(
            regions(classifier, places),
            origin="lower",
            extent=(-SEEN, SEEN, -SEEN, SEEN),
            cmap=ListedColormap([cluster_color(each) for each in range(len(CLASSES))]),
            vmin=-0.5,
            vmax=len(CLASSES) - 0.5,
            interpolation="nearest",
            alpha=0.3,
        )
        for each, name in enumerate(CLASSES):
            look = {"s": 7, "color": cluster_color(each), "marker": MARKS[each], "linewidths": 0}
            ax.scatter(*points[labels == each].T, label=name, **look)
        ax.set(xlim=(-SEEN, SEEN), ylim=(-SEEN, SEEN))
        ax.spines[:].set_visible(False)
    for ax, step in zip(grid[0], SHOWN, strict=True):
        ax.set_title(f"after {step} answers" if step else "before any answer", fontsize=9)
    for ax, whose in zip(grid[:, 0], ("The learner", "The tracer"), strict=True):
        ax.set_ylabel(whose, fontsize=11)
    below = {"loc": "outside lower center", "ncols": len(CLASSES), "frameon": False}
    figure.legend(*grid[0, 0].get_legend_handles_labels(), markerscale=2.2, fontsize=9, **below)
    return figure


def main() -> None:
    """Train, follow, compare and draw."""
    picture, learners, epochs = (*sys.argv[1:], *("learner.png", "100", "6")[len(sys.argv) - 1 :])
    points, labels = images()
    tracer = train(points, labels, int(learners), int(epochs))
    learner = draw_learners("gradient", 1, Pool.of(points, labels), seed=11, laws=LAWS)
    held, guessed = follow(tracer, learner, points, labels)
    for step, own, guess in zip(SHOWN, held, guessed, strict=True):
        answers = regions(own, points)
        guessed_of, right = (regions(guess, points) == answers).mean(), (labels == answers).mean()
        print(f"after {step:2d} answers: {right:.0%} of images right, {guessed_of:.0%} of names guessed")
    draw(held, guessed, points, labels).savefig(picture, dpi=110)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
