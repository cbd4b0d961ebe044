"""Compiles `decoder.c` on the user's machine, for its own processor, with the C compiler that is there.

Nothing else hangs on it: where there is no compiler, or the compiler fails, `kernel_unavailable` says so and the engine
decodes with another back end.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dgx_music.engines.musicgen.prepared import PreparedKey, prepared_folder
from dgx_music.errors import EngineError, EngineUnavailableError

__all__ = [
    "PORTABLE",
    "VARIANTS",
    "Variant",
    "best_variants",
    "build_kernel",
    "compile_kernel",
    "kernel_unavailable",
]

SOURCE = Path(__file__).with_name("decoder.c")
_HEADERS = ("model.h", "eight.h", "products.h", "threads.h", "phases.h")
_LIBRARY = "decoder.so"
_VERSION = 1
_TIMEOUT_S = 120
_FLAGS = (
    "-std=gnu11",
    "-O3",
    # Sums must come out the same on every processor and in any company, so no product is fused that isn't so written.
    "-ffp-contract=off",
    # These change no result: nobody reads errno or the floating-point flags.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-fPIC",
    "-shared",
    "-pthread",
)


@dataclass(frozen=True)
class Variant:
    """A kind of processor that the source has a path for."""

    name: str
    machine: str
    """As `platform.machine` says; empty for any."""
    features: frozenset[str]
    """What /proc/cpuinfo has to list."""
    flags: tuple[str, ...]


_AVX2 = ("-mavx2", "-mfma", "-mf16c")
_AVX2_FEATURES = frozenset({"avx2", "fma", "f16c"})
PORTABLE = Variant("portable", "", frozenset(), ())
VARIANTS = (
    Variant(
        "avx512vnni",
        "x86_64",
        _AVX2_FEATURES | {"avx512f", "avx512bw", "avx512vl", "avx512_vnni"},
        (*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni"),
    ),
    Variant("avxvnni", "x86_64", _AVX2_FEATURES | {"avx_vnni"}, (*_AVX2, "-mavxvnni")),
    Variant("avx2", "x86_64", _AVX2_FEATURES, _AVX2),
    Variant("neon", "aarch64", frozenset({"asimddp", "asimdhp"}), ("-march=armv8.2-a+dotprod+fp16",)),
    PORTABLE,
)
"""From the fastest to the one that runs anywhere."""


def best_variants() -> list[Variant]:
    """Return the variants that this processor can run, the fastest first."""
    features = _features()
    return [
        variant
        for variant in VARIANTS
        if variant.machine in ("", platform.machine()) and variant.features <= features
    ]


def kernel_unavailable(cache_dir: Path) -> str | None:
    """Build the kernel if it is not there; return why it cannot be used, or None where it can."""
    try:
        build_kernel(cache_dir)
    except EngineError as err:
        return str(err)
    return None


def build_kernel(cache_dir: Path) -> Path:
    """Return the compiled library for this processor, compiling it if it is not there yet (some seconds).

    A compiler that does not know a processor's newest instructions gets the next variant.

    Raises:
        EngineUnavailableError: there is no C compiler, it fails, or no variant is fast on this processor.
        EngineError: the cache folder cannot be written.
    """
    compiler = _compiler()
    variants = [variant for variant in best_variants() if variant is not PORTABLE]
    if not variants:
        raise EngineUnavailableError(
            f"the compiled decoder has no fast path for this processor ({platform.machine()}); it needs AVX2 with FMA "
            "and F16C, or NEON with dot products"
        )
    failure: EngineUnavailableError | None = None
    for variant in variants:
        try:
            return _built(cache_dir, compiler, variant)
        except EngineUnavailableError as err:
            failure = failure or err
    assert failure is not None
    raise failure


def compile_kernel(target: Path, variant: Variant, extra: tuple[str, ...] = ()) -> None:
    """Compile the source for a kind of processor.

    Raises:
        EngineUnavailableError: there is no C compiler, or it fails.
    """
    command = [*_compiler(), *_FLAGS, *variant.flags, *extra, str(SOURCE), "-o", str(target), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as err:
        raise EngineUnavailableError(f"{command[0]} cannot compile {SOURCE.name}: {err}") from err
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EngineUnavailableError(
            f"{command[0]} cannot compile {SOURCE.name} for {variant.name}: {said[0]}"
        )


def _built(cache_dir: Path, compiler: list[str], variant: Variant) -> Path:
    recipe = hashlib.sha256(SOURCE.read_bytes())
    for header in _HEADERS:
        recipe.update(SOURCE.with_name(header).read_bytes())
    recipe.update("\0".join((*compiler, _version(compiler), *_FLAGS, *variant.flags)).encode())
    key = PreparedKey(f"kernel-{variant.name}", recipe.hexdigest(), _VERSION)
    return (
        prepared_folder(cache_dir, key, lambda folder: compile_kernel(folder / _LIBRARY, variant)) / _LIBRARY
    )


def _compiler() -> list[str]:
    """Return the compiler's command: `CC`, else what there is."""
    chosen = shlex.split(os.environ.get("CC", ""))
    for command in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    wanted = f"CC names {chosen[0]}, which is not there" if chosen else "there is no cc, gcc or clang"
    raise EngineUnavailableError(
        f"the compiled decoder needs a C compiler and {wanted}; on Debian and Ubuntu: apt install gcc libc6-dev"
    )


def _version(compiler: list[str]) -> str:
    try:
        done = subprocess.run(
            [*compiler, "--version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        raise EngineUnavailableError(f"{compiler[0]} does not start: {err}") from err
    return done.stdout


def _features() -> frozenset[str]:
    """What the processor offers, as Linux lists it: x86 under `flags`, ARM under `Features`."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found: list[frozenset[str]] = []
    for line in lines:
        name, _, words = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            found.append(frozenset(words.split()))
    return frozenset.intersection(*found) if found else frozenset()
