"""Where shards of work run: in this process, in several of this machine, on a Ray cluster."""

from radii.executors.base import EXECUTORS as EXECUTORS
from radii.executors.base import Executor as Executor
from radii.executors.portions import Portions as Portions
from radii.executors.processes import Processes as Processes
from radii.executors.ray_actors import Ray as Ray
from radii.executors.serial import Serial as Serial
