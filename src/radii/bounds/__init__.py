"""Counts to bounds on the probability of a class."""

from radii.bounds.base import BOUNDS as BOUNDS
from radii.bounds.base import Bound as Bound
from radii.bounds.betting import Betting as Betting
from radii.bounds.calibrated import Calibrated as Calibrated
from radii.bounds.clopper_pearson import ClopperPearson as ClopperPearson
from radii.bounds.empirical_bernstein import EmpiricalBernstein as EmpiricalBernstein
from radii.bounds.exact import Exact as Exact
from radii.bounds.hoeffding import Hoeffding as Hoeffding
from radii.bounds.hybrid import Hybrid as Hybrid
from radii.bounds.multiclass_clopper_pearson import (
    MulticlassClopperPearson as MulticlassClopperPearson,
)
from radii.bounds.randomized_clopper_pearson import (
    RandomizedClopperPearson as RandomizedClopperPearson,
)
from radii.bounds.randomized_runner_up_clopper_pearson import (
    RandomizedRunnerUpClopperPearson as RandomizedRunnerUpClopperPearson,
)
from radii.bounds.runner_up_clopper_pearson import (
    RunnerUpClopperPearson as RunnerUpClopperPearson,
)
from radii.bounds.staged import Staged as Staged
from radii.bounds.union_clopper_pearson import UnionClopperPearson as UnionClopperPearson
