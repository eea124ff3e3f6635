"""Bounds on class probabilities to certified radii: one file per noise, norm and theorem."""

from radii.certificates.base import CERTIFICATES as CERTIFICATES
from radii.certificates.base import Certificate as Certificate
from radii.certificates.base import covering as covering
from radii.certificates.base import find as find
from radii.certificates.gaussian_l1 import GaussianL1 as GaussianL1
from radii.certificates.gaussian_l2 import GaussianL2 as GaussianL2
from radii.certificates.gaussian_l2_chi_square import GaussianL2ChiSquare as GaussianL2ChiSquare
from radii.certificates.gaussian_l2_hellinger import GaussianL2Hellinger as GaussianL2Hellinger
from radii.certificates.gaussian_l2_hockey_stick import (
    GaussianL2HockeyStick as GaussianL2HockeyStick,
)
from radii.certificates.gaussian_l2_kl import GaussianL2KL as GaussianL2KL
from radii.certificates.gaussian_l2_lipschitz import GaussianL2Lipschitz as GaussianL2Lipschitz
from radii.certificates.gaussian_l2_pixeldp import GaussianL2PixelDP as GaussianL2PixelDP
from radii.certificates.gaussian_l2_renyi import GaussianL2Renyi as GaussianL2Renyi
from radii.certificates.gaussian_l2_total_variation import (
    GaussianL2TotalVariation as GaussianL2TotalVariation,
)
from radii.certificates.gaussian_linf import GaussianLinf as GaussianLinf
from radii.certificates.iid_exponential_l1 import IidExponentialL1 as IidExponentialL1
from radii.certificates.laplace_l1 import LaplaceL1 as LaplaceL1
from radii.certificates.laplace_l1_pixeldp import LaplaceL1Pixeldp as LaplaceL1Pixeldp
from radii.certificates.laplace_l1_renyi import LaplaceL1Renyi as LaplaceL1Renyi
from radii.certificates.laplace_l1_teng import LaplaceL1Teng as LaplaceL1Teng
from radii.certificates.laplace_linf import LaplaceLinf as LaplaceLinf
from radii.certificates.mixed_linf_functional import MixedLinfFunctional as MixedLinfFunctional
from radii.certificates.pareto_l1 import ParetoL1 as ParetoL1
from radii.certificates.radial_l1 import RadialL1 as RadialL1
from radii.certificates.radial_l1_functional import RadialL1Functional as RadialL1Functional
from radii.certificates.radial_l2 import RadialL2 as RadialL2
from radii.certificates.radial_l2_functional import RadialL2Functional as RadialL2Functional
from radii.certificates.radial_linf import RadialLinf as RadialLinf
from radii.certificates.radial_linf_functional import RadialLinfFunctional as RadialLinfFunctional
from radii.certificates.radial_power_l1 import RadialPowerL1 as RadialPowerL1
from radii.certificates.radial_power_l2 import RadialPowerL2 as RadialPowerL2
from radii.certificates.radial_power_linf import RadialPowerLinf as RadialPowerLinf
from radii.certificates.splitting_l1 import SplittingL1 as SplittingL1
from radii.certificates.splitting_l1_box import SplittingL1Box as SplittingL1Box
from radii.certificates.uniform_ball_l2 import UniformBallL2 as UniformBallL2
from radii.certificates.uniform_l1 import UniformL1 as UniformL1
from radii.certificates.uniform_linf import UniformLinf as UniformLinf
