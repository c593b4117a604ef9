"""Teach a small network the representation of a larger one, with linear CKA as the loss.

The teacher is trained to tell handwritten digits apart. The student, which has half as many features and
never sees a label, is trained to arrange the images as the teacher does: 1 - CKA needs no map between the two
feature spaces, and ignores rotations and scale. ``ops.linear_cka`` is differentiable; its debiased estimator
is right for minibatches, where the plain one is too high.

Run: python examples/cka_loss.py
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from diptych import ops

BATCH = 128


def network(width: int, features: int) -> torch.nn.Sequential:
    """Return a perceptron from 64 pixels to an embedding."""
    return torch.nn.Sequential(
        torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Linear(width, features), torch.nn.ReLU()
    )


def batches(n: int, epochs: int) -> list[torch.Tensor]:
    """Return the items of every batch, shuffled anew each epoch; a short last batch is left out."""
    return [rows for _ in range(epochs) for rows in torch.randperm(n).split(BATCH) if len(rows) == BATCH]


def train_teacher(images: torch.Tensor, labels: torch.Tensor) -> torch.nn.Module:
    """Learn to tell the digits apart; return the part below the classifier."""
    teacher = network(128, 64)
    model = torch.nn.Sequential(teacher, torch.nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for rows in batches(len(images), epochs=30):
        loss = torch.nn.functional.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return teacher.requires_grad_(False)


def train_student(student: torch.nn.Module, images: torch.Tensor, target: torch.Tensor) -> None:
    """Learn to arrange the images as their target embeddings are arranged."""
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    for rows in batches(len(images), epochs=30):
        loss = 1 - ops.linear_cka(student(images[rows]), target[rows], debiased=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main() -> tuple[float, float]:
    """Train both; print and return the student's CKA with the teacher on held-out images."""
    torch.manual_seed(0)
    digits = load_digits()
    train, test, labels, _ = train_test_split(
        torch.tensor(digits.data / 16, dtype=torch.float32),
        torch.tensor(digits.target),
        test_size=0.3,
        random_state=0,
    )
    teacher, student = train_teacher(train, labels), network(32, 32)

    def similarity() -> float:
        with torch.no_grad():
            return float(ops.linear_cka(student(test), teacher(test), debiased=True))

    before = similarity()
    train_student(student, train, teacher(train))
    after = similarity()
    print(f"CKA of student and teacher on {len(test)} test images: {before:.3f} before, {after:.3f} after")
    return before, after


if __name__ == "__main__":
    main()
