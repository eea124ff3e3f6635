"""One training loop for every objective."""

from radii.training.augmentations import AUGMENTATIONS as AUGMENTATIONS
from radii.training.augmentations import Augmentation as Augmentation
from radii.training.augmentations import CropFlip as CropFlip
from radii.training.loop import Training as Training
from radii.training.optimisers import OPTIMISERS as OPTIMISERS
from radii.training.optimisers import SGD as SGD
from radii.training.optimisers import AdamW as AdamW
from radii.training.optimisers import Optimiser as Optimiser
from radii.training.plan import PLANS as PLANS
from radii.training.plan import TrainingPlan as TrainingPlan
from radii.training.schedules import SCHEDULES as SCHEDULES
from radii.training.schedules import Cosine as Cosine
from radii.training.schedules import OneCycle as OneCycle
from radii.training.schedules import Schedule as Schedule
from radii.training.schedules import Step as Step
from radii.training.tensorboard import TensorBoard as TensorBoard
