"""The two layers that the published models read answers or classifiers out by."""

from torch import nn


def readout(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """PReLU, a linear map to ``hidden`` numbers, PReLU, and one to ``outputs`` (Table 2.8)."""
    return nn.Sequential(nn.PReLU(), nn.Linear(inputs, hidden), nn.PReLU(), nn.Linear(hidden, outputs))
