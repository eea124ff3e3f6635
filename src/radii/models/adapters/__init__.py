"""Base classifiers that were made elsewhere."""

from radii.models.adapters.base import ADAPTERS as ADAPTERS
from radii.models.adapters.base import Adapter as Adapter
