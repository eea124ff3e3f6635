"""When an input has enough votes: stopping rules, and what they claim on the way."""

from radii.stopping.at_radius import AtRadius as AtRadius
from radii.stopping.base import STOPS as STOPS
from radii.stopping.base import Course as Course
from radii.stopping.base import Stop as Stop
from radii.stopping.never import Never as Never
from radii.stopping.precision import Precision as Precision
from radii.stopping.radii import Decision as Decision
from radii.stopping.radii import Radii as Radii
