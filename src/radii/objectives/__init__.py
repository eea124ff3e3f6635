"""Training losses of smoothed classifiers, one file a paper."""

from radii.objectives.base import OBJECTIVES as OBJECTIVES
from radii.objectives.base import Objective as Objective
from radii.objectives.copies import CopiesObjective as CopiesObjective
from radii.objectives.gaussian import GaussianAugmentation as GaussianAugmentation
