"""Attacks: from inputs and labels to perturbed inputs that a model gets wrong."""

from radii.attacks.auto import Auto as Auto
from radii.attacks.base import ATTACKS as ATTACKS
from radii.attacks.base import Attack as Attack
from radii.attacks.base import BallAttack as BallAttack
from radii.attacks.base import Found as Found
from radii.attacks.boundary import Boundary as Boundary
from radii.attacks.ddn import DDN as DDN
from radii.attacks.fgsm import FGSM as FGSM
from radii.attacks.hopskipjump import HopSkipJump as HopSkipJump
from radii.attacks.minimum_norm import MinimumNorm as MinimumNorm
from radii.attacks.pgd import PGDL2 as PGDL2
from radii.attacks.pgd import PGDLinf as PGDLinf
from radii.attacks.pgd_l1 import PGDL1 as PGDL1
from radii.attacks.stein import Stein as Stein
from radii.attacks.transfer import Transfer as Transfer
