"""Statistics that several workflows need: intervals of shares and means, psychometric curves, power laws."""

from diptych.stats.intervals import beta_interval, mean_interval
from diptych.stats.power_law import BrokenPowerLaw, PowerLaw, broken_power_law, power_law
from diptych.stats.psychometric import CumulativeGaussian, fit_cumulative_gaussian

__all__ = [
    "BrokenPowerLaw",
    "CumulativeGaussian",
    "PowerLaw",
    "beta_interval",
    "broken_power_law",
    "fit_cumulative_gaussian",
    "mean_interval",
    "power_law",
]
