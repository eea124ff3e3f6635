"""Attacks: from inputs and labels to perturbed inputs that a model gets wrong."""

from radii.attacks.base import ATTACKS as ATTACKS
from radii.attacks.base import Attack as Attack
from radii.attacks.base import Found as Found
from radii.attacks.ddn import DDN as DDN
from radii.attacks.pgd import PGDL2 as PGDL2
from radii.attacks.pgd import PGDLinf as PGDLinf
