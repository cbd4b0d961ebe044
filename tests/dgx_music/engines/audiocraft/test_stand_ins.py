"""Stand-ins: only where the real package cannot be imported, gone afterwards, and teaching when they are called."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec

import pytest

from dgx_music.engines.audiocraft.stand_ins import STAND_INS, MissingPackageError, StandIn, stand_ins

ABSENT = StandIn("zither", "plucking", ("strings",), {"strings.tune": lambda hz: hz * 2}, "py-zither")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Give a function that writes a package of one's own onto the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write(name, text, **submodules):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
        for submodule, words in submodules.items():
            (tmp_path / name / f"{submodule}.py").write_text(words)
        importlib.invalidate_caches()

    yield write
    for left in set(sys.modules) - before:
        del sys.modules[left]


def test_an_absent_package_can_be_imported_inside_and_not_outside():
    with stand_ins([ABSENT]) as absent:
        import zither.strings

        assert absent == ["zither"]
        assert zither.strings.tune(220) == 440
        assert find_spec("zither") is not None

    assert [name for name in sys.modules if name.startswith("zither")] == []
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("zither")


def test_they_are_gone_after_an_error_too():
    with pytest.raises(ZeroDivisionError), stand_ins([ABSENT]):
        raise ZeroDivisionError

    assert "zither" not in sys.modules


def test_the_real_package_wins(package):
    package("zither", "real = True", strings="def tune(hz): return 'really'")

    with stand_ins([ABSENT]) as absent:
        import zither.strings

    assert absent == []
    assert zither.real
    assert zither.strings.tune(220) == "really"
    assert sys.modules["zither"] is zither


@pytest.mark.parametrize(
    "how", ["raise OSError('libc10_cuda.so: cannot open')", "import surely_not_there", "1 / 0"]
)
def test_a_package_that_breaks_when_imported_counts_as_absent_and_leaves_nothing(package, how):
    package("zither", f"import zither.wood\n{how}", wood="", strings="")

    with stand_ins([ABSENT]) as absent:
        import zither

        assert absent == ["zither"]
        with pytest.raises(MissingPackageError, match="py-zither cannot be imported"):
            zither.Zither()

    assert [name for name in sys.modules if name.startswith("zither")] == []


def test_what_is_only_mentioned_is_harmless():
    with stand_ins([ABSENT]):
        import zither.strings

        class Own(zither.Body, dict):
            tuner = zither.strings.Tuner.Peg | None

        assert issubclass(Own, zither.Body)
        assert not isinstance("wood", zither.Body)


def test_what_is_called_names_the_package_the_feature_and_what_to_install():
    with stand_ins([ABSENT]):
        import zither

        for called in (zither.pluck, zither.strings.Peg.turn, type("Own", (zither.Body,), {})):
            with pytest.raises(MissingPackageError) as caught:
                called(1, loud=True)
            assert "package py-zither is not installed; audiocraft needs it for plucking" in str(caught.value)


def test_other_submodules_are_absent_as_audiocraft_expects_where_it_asks_whether_they_are_there():
    with stand_ins([ABSENT]), pytest.raises(ImportError):
        importlib.import_module("zither.profiler")


def test_unbinding_is_torchs_own():
    torch = pytest.importorskip("torch")
    (xformers,) = [package for package in STAND_INS if package.name == "xformers"]
    tensor = torch.arange(12).reshape(2, 3, 2)

    for ours, theirs in zip(
        xformers.equivalents["ops.unbind"](tensor, dim=1), torch.unbind(tensor, dim=1), strict=True
    ):
        assert torch.equal(ours, theirs)
