"""Random perturbations of an input: draw, apply, log density."""

from radii.noise.base import NOISES as NOISES
from radii.noise.base import AdditiveNoise as AdditiveNoise
from radii.noise.base import Noise as Noise
from radii.noise.gaussian import Gaussian as Gaussian
from radii.noise.iid_exponential import IidExponential as IidExponential
from radii.noise.laplace import Laplace as Laplace
from radii.noise.mixed_linf import MixedLinf as MixedLinf
from radii.noise.pareto import Pareto as Pareto
from radii.noise.radial import Radial as Radial
from radii.noise.radial_power import RadialPower as RadialPower
from radii.noise.splitting import Splitting as Splitting
from radii.noise.streams import Generators as Generators
from radii.noise.streams import Stage as Stage
from radii.noise.streams import Stream as Stream
from radii.noise.uniform import Uniform as Uniform
from radii.noise.uniform_ball import UniformBall as UniformBall
