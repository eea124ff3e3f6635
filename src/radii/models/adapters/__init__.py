"""Base classifiers that were made elsewhere."""

from radii.models.adapters.base import ADAPTERS as ADAPTERS
from radii.models.adapters.base import Adapter as Adapter
from radii.models.adapters.hugging_face import HuggingFace as HuggingFace
from radii.models.adapters.onnx_file import OnnxFile as OnnxFile
from radii.models.adapters.published_checkpoint import PublishedCheckpoint as PublishedCheckpoint
from radii.models.adapters.timm_models import TimmModel as TimmModel
