"""The smoothed classifier as other libraries know classifiers."""

from typing import TYPE_CHECKING

from radii.interop.art_classifier import to_art as to_art
from radii.interop.foolbox_model import to_foolbox as to_foolbox
from radii.interop.torch_module import SmoothedModule as SmoothedModule
from radii.interop.torch_module import to_torch as to_torch

if TYPE_CHECKING:
    from radii.interop.sklearn_estimator import SmoothedEstimator as SmoothedEstimator


def __getattr__(name: str) -> object:
    if name == "SmoothedEstimator":  # inherits from scikit-learn, which may not be installed
        from radii.interop.sklearn_estimator import SmoothedEstimator

        return SmoothedEstimator
    raise AttributeError(f"module 'radii.interop' has no attribute {name!r}")
