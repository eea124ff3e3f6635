"""A base classifier and a noise: votes, predictions, certificates."""

from radii.smoothing.certify import decide as decide
from radii.smoothing.classifier import SmoothedClassifier as SmoothedClassifier
from radii.smoothing.estimators import Estimator as Estimator
from radii.smoothing.plan import SamplingPlan as SamplingPlan
from radii.smoothing.scheduler import Request as Request
from radii.smoothing.scheduler import Sampler as Sampler
from radii.smoothing.soft import SoftClassifier as SoftClassifier
