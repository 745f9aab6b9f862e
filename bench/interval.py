"""The mean of a few runs and how sure it is."""

import math

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom.
QUANTILES = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201]


def mean(values):
    return sum(values) / len(values)


def half_interval(values):
    """Half of the 95 % interval of the mean; infinite for a single value."""
    if len(values) < 2:
        return math.inf
    middle = mean(values)
    deviation = math.sqrt(sum((v - middle) ** 2 for v in values) / (len(values) - 1))
    freedom = min(len(values) - 1, len(QUANTILES))
    return QUANTILES[freedom - 1] * deviation / math.sqrt(len(values))
