from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from radii.noise import Gaussian
from radii.objectives import GaussianAugmentation
from radii.smoothing import SmoothedClassifier
from tests.unit.objectives.toys import loss_of_bfloat16_scores


def test_each_input_meets_noise_of_its_own_with_the_sigma_of_the_classifier():
    seen = []

    def base(x):
        seen.append(x)
        return x.new_zeros(len(x), 3, requires_grad=True)

    x = torch.ones(4000, 5)
    y = torch.zeros(4000, dtype=torch.int64)
    loss = GaussianAugmentation().loss(
        SmoothedClassifier(base, Gaussian(0.5), 3), x, y, generator=torch.Generator().manual_seed(0)
    )
    (noisy,) = seen
    delta = noisy - x
    assert delta.shape == x.shape
    # 20,000 values: the standard error of the deviation is 0.5 / sqrt(40,000).
    assert abs(float(delta.std()) - 0.5) < 5 * 0.5 / 200
    assert len(torch.unique(delta[:, 0])) > 3900
    torch.testing.assert_close(loss, cross_entropy(torch.zeros(1, 3), y[:1]))


def test_scores_in_low_precision_give_a_loss_in_float32():
    loss = loss_of_bfloat16_scores(GaussianAugmentation())
    assert loss.dtype == torch.float32
