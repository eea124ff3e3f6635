"""Bounds on the selected class and on the runner-up that spend all of their alpha."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from radii.bounds.base import BOUNDS
from radii.bounds.randomized_clopper_pearson import RandomizedClopperPearson
from radii.bounds.runner_up_clopper_pearson import RunnerUpClopperPearson, Side
from radii.records import Counts


@BOUNDS.register("randomized_runner_up_clopper_pearson")
@dataclass(frozen=True)
class RandomizedRunnerUpClopperPearson(RunnerUpClopperPearson):
    """`RunnerUpClopperPearson` with the uniform number of `RandomizedClopperPearson` in each bound.

    Proof that it holds. For each u the bound of the runner-up rises with its votes, so it is at
    least that of the class whose probability is pB, which is one class that no votes chose. That
    one is too small with probability `share * alpha` over votes and u, and the bound on pA too
    large with probability `(1 - share) * alpha`. The union of two events does not ask whether they
    are independent, so both may have the same u, which is `Counts.tie`. Without a tie u is 1 for
    both, and this is `RunnerUpClopperPearson`.

    Reference:
        Stevens 1950, Biometrika 37, for the number u; see `RunnerUpClopperPearson` for the rest.

    Example:
        >>> import numpy as np
        >>> votes = Counts(np.array([450] + 11 * [50]), tie=np.array(0.1))
        >>> bounds = RandomizedRunnerUpClopperPearson().class_bounds(votes, votes.top, alpha=0.001)
        >>> print(f"pA >= {bounds.pA_lower}, pB <= {bounds.pB_upper}")
        pA >= 0.40..., pB <= 0.08...
    """

    randomized: ClassVar[bool] = True

    def _sides(self, counts: Counts) -> tuple[Side, Side]:
        one = RandomizedClopperPearson()
        return partial(one.lower, tie=counts.tie), partial(one.upper, tie=counts.tie)
