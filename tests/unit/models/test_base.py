import pytest
import torch

from radii.models import MLP, LeNet, Normalize, ResNet20, initialise


def test_normalize_works_channel_by_channel():
    normalize = Normalize(mean=(0.5, 1.0), std=(0.5, 0.25))
    x = torch.ones(3, 2, 4, 4)
    out = normalize(x)
    assert torch.equal(out[:, 0], torch.full((3, 4, 4), 1.0))
    assert torch.equal(out[:, 1], torch.zeros(3, 4, 4))


def test_normalize_takes_flat_inputs():
    assert Normalize(mean=(1.0, 2.0), std=(2.0,))(torch.tensor([[3.0, 3.0]])).tolist() == [[1, 0.5]]


def test_normalize_is_not_trained_but_saved():
    normalize = Normalize(mean=(0.5,), std=(0.25,))
    assert list(normalize.parameters()) == []
    assert set(normalize.state_dict()) == {"mean", "std"}


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((), (1.0,), "mean must be one or more finite numbers"),
        ((float("nan"),), (1.0,), "mean must be one or more finite numbers"),
        ((0.0,), (0.0,), "std must be one or more positive numbers"),
        ((0.0,), (-1.0,), "std must be one or more positive numbers"),
        ((0.0,), (float("inf"),), "std must be one or more positive numbers"),
    ],
)
def test_normalize_refuses(mean, std, message):
    with pytest.raises(ValueError, match=message):
        Normalize(mean, std)


def test_build_refuses_a_mean_for_another_number_of_channels():
    with pytest.raises(ValueError, match=r"mean must be one number or one a channel \(here 3\)"):
        ResNet20().build((3, 32, 32), 10, mean=(0.1, 0.2))


def test_build_refuses_a_single_class():
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        LeNet().build((1, 28, 28), 1)


def test_initialise_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first = initialise(MLP(), (4,), 3, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(10)  # the state of the global generator must not matter
    second = initialise(MLP(), (4,), 3, seed=5).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_initialise_restores_the_global_generator_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="lenet needs inputs"):
        initialise(LeNet(), (4,), 3, seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_initialise_gives_the_same_weights_under_another_default_device():
    expected = initialise(MLP(), (4,), 3, seed=5).state_dict()
    with torch.device("meta"):
        state = initialise(MLP(), (4,), 3, seed=5).state_dict()
    assert all(torch.equal(expected[name], state[name]) for name in expected)
