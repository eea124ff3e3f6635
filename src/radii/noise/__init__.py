"""Random perturbations of an input: draw, apply, log density."""

from radii.noise.base import NOISES as NOISES
from radii.noise.base import AdditiveNoise as AdditiveNoise
from radii.noise.base import Noise as Noise
from radii.noise.exact import exact_form as exact_form
from radii.noise.gaussian import Gaussian as Gaussian
from radii.noise.grid_gaussian import GridGaussian as GridGaussian
from radii.noise.grid_splitting import GridSplitting as GridSplitting
from radii.noise.grid_uniform import GridUniform as GridUniform
from radii.noise.iid_exponential import IidExponential as IidExponential
from radii.noise.laplace import Laplace as Laplace
from radii.noise.mixed_linf import MixedLinf as MixedLinf
from radii.noise.pareto import Pareto as Pareto
from radii.noise.radial import Radial as Radial
from radii.noise.radial_power import RadialPower as RadialPower
from radii.noise.selftest import NoiseTest as NoiseTest
from radii.noise.selftest import self_test as self_test
from radii.noise.splitting import Splitting as Splitting
from radii.noise.streams import Generators as Generators
from radii.noise.streams import Rng as Rng
from radii.noise.streams import Stage as Stage
from radii.noise.streams import Stream as Stream
from radii.noise.streams import check_rng as check_rng
from radii.noise.streams import key_hash as key_hash
from radii.noise.streams import rng_of as rng_of
from radii.noise.uniform import Uniform as Uniform
from radii.noise.uniform_ball import UniformBall as UniformBall
