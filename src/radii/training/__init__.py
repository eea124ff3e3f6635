"""One training loop for every objective."""

from radii.training.loop import Training as Training
from radii.training.loop import TrainingPlan as TrainingPlan
from radii.training.schedules import SCHEDULES as SCHEDULES
from radii.training.schedules import Cosine as Cosine
from radii.training.schedules import Schedule as Schedule
from radii.training.schedules import Step as Step
