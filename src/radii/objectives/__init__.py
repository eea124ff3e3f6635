"""Training losses of smoothed classifiers, one file a paper."""

from radii.objectives.base import OBJECTIVES as OBJECTIVES
from radii.objectives.base import Objective as Objective
from radii.objectives.catrs import CATRS as CATRS
from radii.objectives.consistency import Consistency as Consistency
from radii.objectives.copies import CopiesObjective as CopiesObjective
from radii.objectives.denoising import Denoising as Denoising
from radii.objectives.gaussian import GaussianAugmentation as GaussianAugmentation
from radii.objectives.ibp import IntervalBounds as IntervalBounds
from radii.objectives.intervals import ibp_certified as ibp_certified
from radii.objectives.intervals import interval_bounds as interval_bounds
from radii.objectives.macer import Macer as Macer
from radii.objectives.macer import radius_estimate as radius_estimate
from radii.objectives.smoothadv import SmoothAdv as SmoothAdv
from radii.objectives.smoothmix import SmoothMix as SmoothMix
from radii.objectives.stability import Stability as Stability
from radii.objectives.standard import Standard as Standard
from radii.objectives.trades import Trades as Trades
