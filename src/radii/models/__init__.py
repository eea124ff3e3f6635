"""The architectures of the papers, and the base classifiers that users bring."""

from radii.models.base import ARCHITECTURES as ARCHITECTURES
from radii.models.base import Architecture as Architecture
from radii.models.base import Normalize as Normalize
from radii.models.base import Normalized as Normalized
from radii.models.base import initialise as initialise
from radii.models.checkpoint import save_base as save_base
from radii.models.compiled import Compiled as Compiled
from radii.models.compiled import worth_compiling as worth_compiling
from radii.models.densenet import DenseNet40 as DenseNet40
from radii.models.devices import device_named as device_named
from radii.models.lenet import LeNet as LeNet
from radii.models.mlp import MLP as MLP
from radii.models.precision import InPrecision as InPrecision
from radii.models.published import load_published as load_published
from radii.models.published import read_state as read_state
from radii.models.reference import Base as Base
from radii.models.reference import load_base as load_base
from radii.models.resnet import ResNet18 as ResNet18
from radii.models.resnet import ResNet50 as ResNet50
from radii.models.resnet_cifar import ResNet20 as ResNet20
from radii.models.resnet_cifar import ResNet32 as ResNet32
from radii.models.resnet_cifar import ResNet44 as ResNet44
from radii.models.resnet_cifar import ResNet56 as ResNet56
from radii.models.resnet_cifar import ResNet110 as ResNet110
from radii.models.weights import weights_sha256 as weights_sha256
from radii.models.wide_resnet import WideResNet28x10 as WideResNet28x10
