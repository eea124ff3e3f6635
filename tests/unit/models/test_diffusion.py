from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from radii.errors import BaseClassifierError
from radii.models import DenoisedClassifier, DiffusionDenoiser

ABAR = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))  # Ho et al. 2020, arXiv:2006.11239
S = 0.2  # standard deviation of the data of `Best`, in [-1, 1]


class Best(nn.Module):
    """The best prediction where the images are N(0, S^2 I): linear in x_t."""

    def __init__(self, predicts, extra=False):
        super().__init__()
        self.predicts, self.extra = predicts, extra
        self.told = []

    def forward(self, x_t, t):
        self.told.append(t)
        signal, noise = math.sqrt(ABAR[int(t[0])]), math.sqrt(1 - ABAR[int(t[0])])
        x0 = signal * S**2 / (signal**2 * S**2 + noise**2) * x_t  # E[x0 | x_t]
        epsilon = (x_t - signal * x0) / noise
        found = {"noise": epsilon, "x0": x0, "v": signal * epsilon - noise * x0}[self.predicts]
        return torch.cat([found, 1e3 + found], 1) if self.extra else found


def noisy(sigma, *shape):
    generator = torch.Generator().manual_seed(0)
    images = 0.5 + 0.5 * S * torch.randn(shape, generator=generator, dtype=torch.float64)
    return images, images + sigma * torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("predicts", ["noise", "x0", "v"])
@pytest.mark.parametrize("t", [20, 300, 700])
def test_it_is_the_best_denoiser_of_normal_images(predicts, extra, t):
    # sigma is that of a step, so the posterior mean is known: x s^2 / (s^2 + sigma^2).
    sigma = math.sqrt((1 - ABAR[t]) / ABAR[t]) / 2
    model = Best(predicts, extra)
    denoiser = DiffusionDenoiser(model, ABAR.tolist(), sigma=sigma, predicts=predicts)
    _, x = noisy(sigma, 50, 3, 4, 4)
    spread = (S / 2) ** 2  # of the images in [0, 1]
    wiener = 0.5 + (x - 0.5) * spread / (spread + sigma**2)
    torch.testing.assert_close(denoiser(x), wiener.clamp(0, 1), rtol=1e-9, atol=1e-9)
    assert denoiser.step == t
    assert denoiser.level == pytest.approx(sigma, rel=1e-12)
    assert torch.equal(model.told[0], torch.full((50,), t))


def test_it_comes_nearer_to_the_images_than_any_other_share_of_the_input():
    sigma = 0.25
    images, x = noisy(sigma, 200, 1, 8, 8)
    denoiser = DiffusionDenoiser(Best("noise"), ABAR.tolist(), sigma=sigma)
    error = float((denoiser(x) - images).square().mean())
    spread = (S / 2) ** 2
    assert error == pytest.approx(spread * sigma**2 / (spread + sigma**2), rel=0.03)
    for share in (0.0, 0.3, 1.0):
        assert error < float((0.5 + share * (x - 0.5) - images).square().mean())


@pytest.mark.parametrize("sigma", [0.012, 0.1, 0.25, 0.5, 1.0, 5.0])
def test_the_step_is_the_nearest_in_logarithm(sigma):
    denoiser = DiffusionDenoiser(Best("noise"), torch.tensor(ABAR), sigma=sigma)
    ratios = [abs(math.log(2 * sigma / math.sqrt((1 - a) / a))) for a in ABAR.tolist()]
    assert denoiser.step == ratios.index(min(ratios))
    assert denoiser.level == pytest.approx(
        math.sqrt((1 - ABAR[denoiser.step]) / ABAR[denoiser.step]) / 2, rel=1e-12
    )
    assert denoiser.sigma == sigma


def test_between_two_steps_their_geometric_mean_divides():
    abar = [1 / (1 + level**2) for level in (0.5, 1.0, 4.0)]
    found = {
        sigma: DiffusionDenoiser(Best("x0"), abar, sigma=sigma / 2).step
        for sigma in (0.5, 0.70, 0.71, 1.99, 2.01, 4.0)
    }
    assert found == {0.5: 0, 0.70: 0, 0.71: 1, 1.99: 1, 2.01: 2, 4.0: 2}


def test_pixels_may_have_another_range():
    sigma = 0.3
    _, x = noisy(sigma, 5, 1, 4, 4)
    denoiser = DiffusionDenoiser(Best("noise"), ABAR.tolist(), sigma=sigma)
    wide = DiffusionDenoiser(Best("noise"), ABAR.tolist(), sigma=255 * sigma, low=-10.0, high=245.0)
    assert wide.step == denoiser.step
    assert wide.level == pytest.approx(255 * denoiser.level)
    torch.testing.assert_close(wide(255 * x - 10), 255 * denoiser(x) - 10)


@pytest.mark.parametrize("sigma", [0.004, 100.0])
def test_noise_outside_the_schedule_is_refused(sigma):
    with pytest.raises(ValueError, match=r"sigma must be in the noise of the schedule, 0\.005 to"):
        DiffusionDenoiser(Best("noise"), ABAR.tolist(), sigma=sigma)


def test_both_ends_of_the_schedule_count():
    for t in (0, 999):
        sigma = float(np.float32(math.sqrt((1 - ABAR[t]) / ABAR[t]) / 2))
        assert DiffusionDenoiser(Best("noise"), ABAR.tolist(), sigma=sigma).step == t


def test_a_schedule_may_end_in_noise_alone():
    abar = [1.0, 0.8, 0.2, 0.0]  # levels 0, 0.5, 2 and infinity
    for sigma, step in ((0.25, 1), (0.4, 1), (0.6, 2), (1.0, 2)):
        assert DiffusionDenoiser(Best("v"), abar, sigma=sigma).step == step
    for sigma in (0.2, 1.1, 1e6):
        with pytest.raises(ValueError, match=r"in the noise of the schedule, 0\.25 to 1 in the"):
            DiffusionDenoiser(Best("v"), abar, sigma=sigma)
    with pytest.raises(ValueError, match="sigma must be in the noise of the schedule"):
        DiffusionDenoiser(Best("v"), [1.0, 0.0], sigma=0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        *([0.5], [], [0.5, 0.6], [0.5, 0.5], [1.1, 0.5], [0.5, -0.1], [0.5, math.nan], [[0.5]]),
        *(torch.tensor(0.5), torch.zeros(2, 0), 0.5),
    ],
)
def test_what_is_no_schedule_is_refused(wrong):
    with pytest.raises(ValueError, match="alphas_cumprod must be two or more decreasing numbers"):
        DiffusionDenoiser(Best("noise"), wrong, sigma=0.5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sigma": 0.0}, "sigma must be positive and finite"),
        ({"sigma": math.nan}, "sigma must be positive and finite"),
        ({"predicts": "epsilon"}, "predicts must be noise, x0 or v"),
        ({"low": 1.0, "high": 1.0}, "low must be less than high"),
    ],
)
def test_wrong_arguments(wrong, said):
    with pytest.raises(ValueError, match=said):
        DiffusionDenoiser(Best("noise"), ABAR.tolist(), **{"sigma": 0.5, **wrong})


def test_the_answer_of_a_library_may_hold_the_tensor():
    class Library(Best):
        def forward(self, x_t, t):
            return SimpleNamespace(sample=super().forward(x_t, t))

    _, x = noisy(0.5, 2, 1, 4, 4)
    plain, held = (
        DiffusionDenoiser(model("noise"), ABAR.tolist(), sigma=0.5) for model in (Best, Library)
    )
    assert torch.equal(plain(x), held(x))


def test_answers_of_another_shape_are_refused():
    class Three(nn.Module):
        def forward(self, x_t, t):
            return torch.cat([x_t, x_t, x_t], 1)

    denoiser = DiffusionDenoiser(Three(), ABAR.tolist(), sigma=0.5)
    with pytest.raises(BaseClassifierError, match=r"\(2, 1, 4, 4\), or .*, got \(2, 3, 4, 4\)"):
        denoiser(torch.zeros(2, 1, 4, 4))


def test_before_a_classifier_gradients_flow():
    base = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double().eval()
    model = Best("noise").eval()
    denoised = DenoisedClassifier(DiffusionDenoiser(model, ABAR.tolist(), sigma=0.5), base)
    assert not denoised.training
    _, x = noisy(0.1, 2, 1, 4, 4)
    assert torch.autograd.gradcheck(denoised, [x.clone().requires_grad_()])


def test_the_mode_is_that_of_the_model():
    assert DiffusionDenoiser(nn.Dropout(), ABAR.tolist(), sigma=0.5).training
    assert not DiffusionDenoiser(nn.Dropout().eval(), ABAR.tolist(), sigma=0.5).training
