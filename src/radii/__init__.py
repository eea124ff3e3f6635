"""Certified adversarial robustness by randomized smoothing.

The public names are imported when they are first used, so that importing `radii` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from radii._version import __version__ as __version__

if TYPE_CHECKING:
    from radii import attacks as attacks
    from radii import bounds as bounds
    from radii import certificates as certificates
    from radii import data as data
    from radii import evaluation as evaluation
    from radii import executors as executors
    from radii import interop as interop
    from radii import models as models
    from radii import noise as noise
    from radii import objectives as objectives
    from radii import serving as serving
    from radii import smoothing as smoothing
    from radii import stopping as stopping
    from radii import training as training
    from radii import verification as verification
    from radii.bounds import Betting as Betting
    from radii.bounds import ClopperPearson as ClopperPearson
    from radii.bounds import EmpiricalBernstein as EmpiricalBernstein
    from radii.bounds import Hoeffding as Hoeffding
    from radii.bounds import Hybrid as Hybrid
    from radii.bounds import MulticlassClopperPearson as MulticlassClopperPearson
    from radii.bounds import RandomizedClopperPearson as RandomizedClopperPearson
    from radii.bounds import RandomizedRunnerUpClopperPearson as RandomizedRunnerUpClopperPearson
    from radii.bounds import RunnerUpClopperPearson as RunnerUpClopperPearson
    from radii.errors import RadiiError as RadiiError
    from radii.evaluation import push_to_hub as push_to_hub
    from radii.models import DenoisedClassifier as DenoisedClassifier
    from radii.models import from_pretrained as from_pretrained
    from radii.models import load as load
    from radii.noise import Gaussian as Gaussian
    from radii.noise import GridGaussian as GridGaussian
    from radii.noise import GridSplitting as GridSplitting
    from radii.noise import GridUniform as GridUniform
    from radii.noise import IidExponential as IidExponential
    from radii.noise import Laplace as Laplace
    from radii.noise import MixedLinf as MixedLinf
    from radii.noise import Pareto as Pareto
    from radii.noise import Radial as Radial
    from radii.noise import RadialPower as RadialPower
    from radii.noise import Splitting as Splitting
    from radii.noise import Uniform as Uniform
    from radii.noise import UniformBall as UniformBall
    from radii.records import Certification as Certification
    from radii.records import Claim as Claim
    from radii.records import ClassBounds as ClassBounds
    from radii.records import Counts as Counts
    from radii.records import Prediction as Prediction
    from radii.records import SoftVotes as SoftVotes
    from radii.smoothing import SamplingPlan as SamplingPlan
    from radii.smoothing import SmoothedClassifier as SmoothedClassifier

_PACKAGES = (
    "attacks",
    "bounds",
    "certificates",
    "data",
    "evaluation",
    "executors",
    "interop",
    "models",
    "noise",
    "objectives",
    "serving",
    "smoothing",
    "stopping",
    "training",
    "verification",
)
_HOMES = {
    "Betting": "radii.bounds",
    "Certification": "radii.records",
    "Claim": "radii.records",
    "ClassBounds": "radii.records",
    "ClopperPearson": "radii.bounds",
    "Counts": "radii.records",
    "DenoisedClassifier": "radii.models",
    "EmpiricalBernstein": "radii.bounds",
    "Gaussian": "radii.noise",
    "GridGaussian": "radii.noise",
    "GridSplitting": "radii.noise",
    "GridUniform": "radii.noise",
    "Hoeffding": "radii.bounds",
    "Hybrid": "radii.bounds",
    "IidExponential": "radii.noise",
    "Laplace": "radii.noise",
    "MixedLinf": "radii.noise",
    "MulticlassClopperPearson": "radii.bounds",
    "Pareto": "radii.noise",
    "Prediction": "radii.records",
    "Radial": "radii.noise",
    "RadialPower": "radii.noise",
    "RadiiError": "radii.errors",
    "RandomizedClopperPearson": "radii.bounds",
    "RandomizedRunnerUpClopperPearson": "radii.bounds",
    "RunnerUpClopperPearson": "radii.bounds",
    "SamplingPlan": "radii.smoothing",
    "SmoothedClassifier": "radii.smoothing",
    "SoftVotes": "radii.records",
    "Splitting": "radii.noise",
    "Uniform": "radii.noise",
    "UniformBall": "radii.noise",
    "from_pretrained": "radii.models",
    "load": "radii.models",
    "push_to_hub": "radii.evaluation",
}

__all__ = ["__version__", *_PACKAGES, *_HOMES]


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return importlib.import_module(f"radii.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'radii' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
