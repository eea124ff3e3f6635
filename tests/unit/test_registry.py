"""Names, specs and plug-ins."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radii.errors import RadiiError, UnknownNameError
from radii.noise import NOISES, Gaussian
from radii.registry import Registry, reference_of

TOOLS: Registry[Any] = Registry("tool", "radii.errors")


@TOOLS.register("hammer")
@dataclass(frozen=True)
class Hammer:
    """Drives nails.

    It is swung.

    Reference:
        Somebody 1900,
        page 3.

    Example:
        >>> Hammer(weight=1.5).grip
        'wood'
    """

    weight: float
    blows: int = 3
    soft: bool = False
    grip: Literal["wood", "steel"] = "wood"
    owner: str = "me"
    limit: int | None = None
    nick: str | None = None


@TOOLS.register("saw")
@dataclass(frozen=True)
class Saw:
    """Cuts."""

    teeth: int = 40
    derived: int = field(init=False, default=1)


class Thing:
    """What may be in a box."""


THINGS: Registry[Any] = Registry("thing", "radii.errors", Thing)


@THINGS.register("plane")
@dataclass(frozen=True)
class Plane(Thing):
    """Smoothes."""

    width: int = 2


@THINGS.register("box")
@dataclass(frozen=True)
class Box(Thing):
    """Holds another thing."""

    holds: Thing = field(default_factory=Plane)
    size: int = 1
    only: Plane | None = None


@TOOLS.register("rule")
@dataclass(frozen=True)
class Rule:
    """Measures."""

    marks: str
    stiff: bool = True
    positional: ClassVar[str] = "marks"


HAMMERS = st.builds(
    Hammer,
    weight=st.floats(allow_nan=False),
    blows=st.integers(),
    soft=st.booleans(),
    grip=st.sampled_from(["wood", "steel"]),
    owner=st.text(st.characters(exclude_characters=",()", codec="utf-8"), min_size=1),
    limit=st.none() | st.integers(),
)


@given(HAMMERS)
def test_build_undoes_spec_of(hammer: Hammer) -> None:
    assert TOOLS.build(TOOLS.spec_of(hammer)) == hammer


@given(
    owner=st.text(),
    nick=st.text() | st.sampled_from(["none", "None", "a,b", "a=b", "", "(", "a)b", "(a)"]),
)
def test_a_text_that_a_spec_cannot_carry_is_refused_and_not_garbled(owner: str, nick: str) -> None:
    hammer = Hammer(weight=1.0, owner=owner, nick=nick)
    try:
        spec = TOOLS.spec_of(hammer)
    except (RadiiError, ValueError):
        return
    assert TOOLS.build(spec) == hammer


@pytest.mark.parametrize(
    ("tool", "spec"),
    [
        (Hammer(1.0), "hammer:weight=1.0"),
        (Hammer(1e-300, 3, True), "hammer:weight=1e-300,soft=true"),
        (Hammer(0.1, grip="steel", limit=4), "hammer:weight=0.1,grip=steel,limit=4"),
        (Saw(), "saw"),
    ],
)
def test_spec_of_is_the_shortest(tool: object, spec: str) -> None:
    assert TOOLS.spec_of(tool) == spec


@pytest.mark.parametrize(
    "spec",
    [
        "hammer:weight=2,blows=5,soft=true,limit=none",
        {"name": "hammer", "weight": "2", "blows": "5", "soft": "true"},
        {"name": "hammer", "weight": 2, "blows": 5, "soft": True, "limit": None},
    ],
)
def test_text_and_mapping_are_the_same_spec(spec: Any) -> None:
    assert TOOLS.build(spec) == Hammer(2.0, 5, True)
    assert type(TOOLS.build(spec).weight) is float


def test_a_registered_object_may_be_a_parameter_of_another() -> None:
    for box, spec in [
        (Box(), "box"),
        (Box(Plane(3)), "box:holds=plane(width=3)"),
        (Box(Box(Plane(3), 2), 5), "box:holds=box(holds=plane(width=3),size=2),size=5"),
    ]:
        assert THINGS.spec_of(box) == spec
        assert THINGS.build(spec) == box
    nested = {"name": "box", "holds": {"name": "plane", "width": 3}, "size": 5}
    assert THINGS.build(nested) == Box(Plane(3), 5)
    assert THINGS.build("box(holds=plane:width=3)") == Box(Plane(3))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("box:holds=plane(width=3", "must close each bracket that it opens, got 'plane(width=3'"),
        ("box:only=box", "only of thing 'box' must be one of plane, got 'box'"),
        ("box:holds=chisel", "no thing is called 'chisel'; known: box, plane"),
        ("box:holds=plane(depth=3)", "thing 'plane' has no parameter 'depth'"),
        ("box:holds=plane()", "must be name:key=value,key=value, got 'plane()'"),
    ],
)
def test_a_parameter_that_is_no_object_of_its_kind(spec: str, message: str) -> None:
    with pytest.raises((ValueError, UnknownNameError)) as caught:
        THINGS.build(spec)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("rule:1", Rule("1")),
        ("rule:1,2.5,x", Rule("1,2.5,x")),
        ("rule:1,2,stiff=false", Rule("1,2", stiff=False)),
        ("rule:stiff=false,marks=1", Rule("1", stiff=False)),
    ],
)
def test_a_positional_value_stands_first_with_its_commas(spec: str, rule: Rule) -> None:
    assert TOOLS.build(spec) == rule


def test_build_leaves_a_mapping_as_it_was() -> None:
    spec = {"name": "saw", "teeth": 3}
    TOOLS.build(spec)
    assert spec == {"name": "saw", "teeth": 3}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hamer", "no tool is called 'hamer'; known: hammer, rule, saw. Did you mean 'hammer'?"),
        ("zzz", "no tool is called 'zzz'; known: hammer, rule, saw."),
        ("saw:tooth=3", "tool 'saw' has no parameter 'tooth'; known: teeth. Did you mean 'teeth'?"),
        ("saw:derived=3", "tool 'saw' has no parameter 'derived'; known: teeth."),
        ("hammer", "tool 'hammer' needs weight; write hammer:weight=..."),
    ],
)
def test_unknown_names(spec: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        TOOLS.build(spec)
    assert str(caught.value) == message
    assert isinstance(caught.value, RadiiError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("saw:teeth=4.5", "teeth of tool 'saw' must be a whole number, got '4.5'"),
        ("saw:teeth=true", "teeth of tool 'saw' must be a whole number, got 'true'"),
        ({"name": "saw", "teeth": 4.0}, "teeth of tool 'saw' must be a whole number, got 4.0"),
        ({"name": "saw", "teeth": True}, "teeth of tool 'saw' must be a whole number, got True"),
        ({"name": "saw", "teeth": None}, "teeth of tool 'saw' must be a whole number, got None"),
        ("hammer:weight=heavy", "weight of tool 'hammer' must be a number, got 'heavy'"),
        ("hammer:weight=nan", "weight of tool 'hammer' must be a number, got 'nan'"),
        ("hammer:weight=1,soft=1", "soft of tool 'hammer' must be true or false, got '1'"),
        ("hammer:weight=1,grip=gold", "grip of tool 'hammer' must be one of wood, steel, got"),
        ({"name": "hammer", "weight": 1, "owner": 3}, "owner of tool 'hammer' must be a text"),
        ("", "a spec must be name:key=value,key=value, got ''"),
        ("saw:", "a spec must be name:key=value,key=value, got 'saw:'"),
        (":teeth=3", "a spec must be name:key=value,key=value, got ':teeth=3'"),
        ("saw:teeth", "a spec must be name:key=value,key=value, got 'saw:teeth'"),
        ("saw:teeth=3,", "a spec must be name:key=value,key=value, got 'saw:teeth=3,'"),
        ("rule:stiff=false,1", "a spec must be name:key=value,key=value, got 'rule:stiff=false,1'"),
        ("rule:1,,stiff=false", "a spec must be name:key=value,key=value, got 'rule:1,,stiff"),
        ("rule:1,marks=2", "a spec must name each parameter once, got 'marks' twice"),
        ("saw:teeth=3,teeth=4", "a spec must name each parameter once, got 'teeth' twice"),
        ({"teeth": 3}, "a spec must be a mapping with a text under 'name'"),
    ],
)
def test_wrong_values(spec: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the text is compared below
        TOOLS.build(spec)
    assert str(caught.value).startswith(message)


def test_names_are_taken_once() -> None:
    with pytest.raises(ValueError, match="the tool name 'saw' is taken by"):
        TOOLS.register("saw")(Hammer)
    assert TOOLS["saw"] is Saw
    TOOLS.register("saw")(Saw)  # a module may be read again


@pytest.mark.parametrize("stranger", [Gaussian(1.0), "a text"])
def test_unregistered_objects_have_no_name(stranger: object) -> None:
    for ask in (TOOLS.name_of, TOOLS.spec_of):
        with pytest.raises(UnknownNameError, match="is not a registered tool; decorate"):
            ask(stranger)


def test_a_subclass_is_not_its_parent() -> None:
    class Soft(Gaussian):
        pass

    with pytest.raises(UnknownNameError, match="Soft is not a registered noise"):
        NOISES.spec_of(Soft(1.0))


def test_entries() -> None:
    hammer, _, saw = TOOLS.entries()
    assert (hammer.kind, hammer.name, hammer.summary) == ("tool", "hammer", "Drives nails.")
    assert hammer.reference == "Somebody 1900, page 3."
    assert hammer.parameters["weight"] == "required"
    assert hammer.parameters["soft"] == "false"
    assert hammer.parameters["limit"] == "none"
    assert (saw.parameters, saw.reference) == ({"teeth": "40"}, "")


def test_entries_show_a_default_that_is_made_anew() -> None:
    @dataclass(frozen=True)
    class Box:
        """Holds."""

        contents: list[int] = field(default_factory=list)

    boxes: Registry[Any] = Registry("box", "radii.errors")
    boxes.register("box")(Box)
    assert "MISSING" not in boxes.entries()[0].parameters["contents"]


def test_reference_of_nothing() -> None:
    assert reference_of(Saw) == ""


PLUGIN = """
from dataclasses import dataclass
from radii.noise import NOISES, Gaussian

@NOISES.register("student_t")
@dataclass(frozen=True)
class StudentT(Gaussian):
    pass

@dataclass(frozen=True)
class Bare(Gaussian):
    pass
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution with two entry points, one a module and one a class."""
    (tmp_path / "radii_test_plugin.py").write_text(PLUGIN)
    info = tmp_path / "radii_test_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: radii-test-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[radii.noise]\nstudent_t = radii_test_plugin\nbare = radii_test_plugin:Bare\n"
    )
    monkeypatch.setattr(NOISES, "_classes", dict(NOISES._classes))
    monkeypatch.delitem(sys.modules, "radii_test_plugin", raising=False)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("name", ["student_t", "bare"])
def test_entry_points_are_loaded_when_a_name_is_missing(name: str) -> None:
    assert {"bare", "gaussian", "student_t"} <= set(NOISES.names())
    noise = NOISES.build(f"{name}:sigma=0.5")
    assert type(noise).__module__ == "radii_test_plugin"
    assert NOISES.spec_of(noise) == f"{name}:sigma=0.5"


def test_entry_points_are_gone_without_the_plugin() -> None:
    assert not {"bare", "student_t"} & set(NOISES.names())
