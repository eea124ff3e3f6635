from __future__ import annotations

import pytest

from radii.evaluation.importers import Found, Pattern
from radii.evaluation.importers.pattern import filled


@pytest.mark.parametrize(
    ("pattern", "path", "fields", "folder"),
    [
        ("noise_{sigma}_{seed}", "a/b/noise_0.25_3", {"sigma": "0.25", "seed": "3"}, "a/b"),
        (".../noise_{sigma}_{seed}", "a/noise_1.0_3", {"sigma": "1.0", "seed": "3"}, "a"),
        ("**/noise_{sigma}_{seed}", "noise_1_3", {"sigma": "1", "seed": "3"}, ""),
        ("{objective}/*/s{sigma}.tsv", "x/m/2/s0.5.tsv", {"objective": "m", "sigma": "0.5"}, "x"),
        ("a_{alpha}-{n}-{n0}", "a_1e-3-10-5", {"alpha": "1e-3", "n": "10", "n0": "5"}, ""),
        ("m_{lbd}_{eta}", "m_1.0_2_3", {"lbd": "1.0", "eta": "2_3"}, ""),
        ("sigma_0.25", "x/sigma_0.25", {}, "x"),
    ],
)
def test_what_a_path_says(pattern, path, fields, folder):
    assert Pattern(pattern).match(path) == Found(fields, folder)


@pytest.mark.parametrize(
    "path",
    [
        "noise_0.25_3_acc",
        "noise_0.25",
        "noise_a_3",
        "noise_0.25_3.5",
        "mynoise_0.25_3",
        "noise_0.25_3/x",
        "noise_0x25_3",
    ],
)
def test_what_does_not_fit(path):
    assert Pattern("noise_{sigma}_{seed}").match(path) is None


def test_a_point_is_a_point():
    assert Pattern("sigma_0.25").match("sigma_0x25") is None


@pytest.mark.parametrize("text", ["noise_{}", "{a b}", "{seed}_{seed}", "noise_{sigma", "a}", ""])
def test_no_pattern(text):
    with pytest.raises(ValueError, match="a pattern must"):
        Pattern(text)


def test_names():
    assert Pattern("{objective}/noise_{sigma}").names == ("objective", "sigma")


def test_fields_in_a_spec():
    assert filled("laplace:scale={b}", {"b": "0.5", "a": "1"}) == "laplace:scale=0.5"
    with pytest.raises(ValueError, match=r"'gaussian:sigma=\{sigma\}' needs sigma: .* are none"):
        filled("gaussian:sigma={sigma}", {})
