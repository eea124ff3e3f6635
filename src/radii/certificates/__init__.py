"""Bounds on class probabilities to certified radii: one file per noise, norm and theorem."""

from radii.certificates.base import CERTIFICATES as CERTIFICATES
from radii.certificates.base import Certificate as Certificate
from radii.certificates.base import covering as covering
from radii.certificates.base import find as find
from radii.certificates.gaussian_l2 import GaussianL2 as GaussianL2
