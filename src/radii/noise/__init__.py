"""Random perturbations of an input: draw, apply, log density."""

from radii.noise.base import NOISES as NOISES
from radii.noise.base import AdditiveNoise as AdditiveNoise
from radii.noise.base import Noise as Noise
from radii.noise.gaussian import Gaussian as Gaussian
from radii.noise.streams import Generators as Generators
from radii.noise.streams import Stage as Stage
from radii.noise.streams import Stream as Stream
