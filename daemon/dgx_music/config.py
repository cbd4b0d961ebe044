"""The configuration: one TOML file, every setting with a default, every mistake reported by name.

`etc/config.toml` shows all settings with their defaults and what they mean. An environment variable
`DGX_MUSIC__SECTION__SETTING` overrides a single setting.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from dgx_music.engines.base import EngineSettings
from dgx_music.engines.musicgen.settings import DEFAULT_MODEL, MusicGenSettings
from dgx_music.errors import ConfigError, RequestError
from dgx_music.request import GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dgx_music.paths import Paths

__all__ = [
    "ArdourConfig",
    "AudioConfig",
    "Config",
    "EngineConfig",
    "InboxConfig",
    "LibraryConfig",
    "MusicGenConfig",
    "OscConfig",
    "QueueConfig",
    "ReadingConfig",
    "load_config",
]

_ENV_PREFIX = "DGX_MUSIC__"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _absolute(path: Path) -> Path:
    expanded = path.expanduser()
    if not expanded.is_absolute():
        raise ValueError("must be an absolute path, or begin with ~/")
    return expanded


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class OscConfig(_Section):
    """The OSC listener."""

    host: str = "127.0.0.1"
    port: int = Field(7400, ge=0, le=65535)
    receive_buffer_bytes: int = Field(8 * 1024 * 1024, ge=65536)
    max_backlog: int = Field(20_000, ge=1)


class InboxConfig(_Section):
    """The drop folder."""

    enabled: bool = True
    path: AbsolutePath | None = None
    observer: Literal["inotify", "polling"] = "inotify"
    poll_interval_s: float = Field(2.0, gt=0)
    settle_s: float = Field(0.4, ge=0)
    rescan_interval_s: float = Field(30.0, gt=0)
    max_file_bytes: int = Field(1024 * 1024, ge=1024)
    max_jobs_per_file: int = Field(2_000, ge=1)


class LibraryConfig(_Section):
    """Where finished takes go."""

    path: AbsolutePath | None = None


class EngineConfig(_Section):
    """Which engine makes the audio, and how long it may take."""

    default: str = "auto"
    timeout_base_s: float = Field(120.0, gt=0)
    timeout_per_audio_s: float = Field(30.0, gt=0)
    max_attempts: int = Field(6, ge=1)
    soundfont: AbsolutePath | None = None
    renderer: Literal["auto", "numpy", "fluidsynth"] = "auto"


class MusicGenConfig(_Section):
    """MusicGen: which model, where it lies, what it may use. See `MusicGenSettings`."""

    model: str = Field(DEFAULT_MODEL, min_length=1)
    models_dir: AbsolutePath | None = None
    download: bool = True
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    kernel: bool = True
    threads: int = Field(0, ge=0)
    max_takes: int = Field(8, ge=1, le=64)
    memory_mb: int = Field(0, ge=0)
    idle_unload_s: float = Field(600.0, ge=0)


class ReadingConfig(_Section):
    """Which of the user's audio may be read."""

    roots: tuple[AbsolutePath, ...] = ()


class AudioConfig(_Section):
    """What a request gets that does not say otherwise."""

    loudness: float | str = -16.0
    sample_rate: int = 48_000
    bit_depth: int = 24

    @model_validator(mode="after")
    def _as_a_request(self) -> AudioConfig:
        try:
            GenerationRequest.from_fields({"prompt": "any", **self.model_dump()})
        except RequestError as err:
            raise ValueError(str(err)) from err
        return self


class QueueConfig(_Section):
    """The limits of the queue, and when it holds jobs back."""

    max_pending: int = Field(50_000, ge=1)
    hold_while_recording: bool = False


class ArdourConfig(_Section):
    """How takes come into a running Ardour."""

    enabled: bool = True
    osc_port: int = Field(0, ge=0, le=65535)
    arrival_marker: bool = False


class Config(_Section):
    """All settings of one installation."""

    osc: OscConfig = OscConfig()
    inbox: InboxConfig = InboxConfig()
    library: LibraryConfig = LibraryConfig()
    engine: EngineConfig = EngineConfig()
    musicgen: MusicGenConfig = MusicGenConfig()
    reading: ReadingConfig = ReadingConfig()
    audio: AudioConfig = AudioConfig()
    queue: QueueConfig = QueueConfig()
    ardour: ArdourConfig = ArdourConfig()
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def for_engines(self, paths: Paths) -> EngineSettings:
        """Return what engines may know of all this."""
        return EngineSettings(
            soundfont=self.engine.soundfont,
            renderer=self.engine.renderer,
            musicgen=MusicGenSettings(
                **self.musicgen.model_dump(), cache_dir=(paths.cache_dir / "musicgen").absolute()
            ),
            reading_roots=self.reading.roots or (self.library.path or paths.library,),
        )


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read the configuration file (absent means defaults), then apply environment overrides.

    Raises:
        ConfigError: naming every setting that is unknown or out of bounds, and the file it stands in.
    """
    data: dict[str, Any] = {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: not valid TOML: {err}") from err
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read: {err.strerror}") from err
    for name, value in environ.items():
        if name.startswith(_ENV_PREFIX):
            _override(data, name, value)
    try:
        return Config.model_validate(data)
    except ValidationError as err:
        problems = "\n".join(
            f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']} (got {item['input']!r})"
            for item in err.errors()
        )
        raise ConfigError(
            f"{path} (or a {_ENV_PREFIX}… variable) has settings that cannot be used:\n{problems}\n"
            "etc/config.toml lists every setting with its default."
        ) from err


def _override(data: dict[str, Any], name: str, value: str) -> None:
    keys = [part.lower() for part in name.removeprefix(_ENV_PREFIX).split("__")]
    try:
        parsed = tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        parsed = value
    node = data
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise ConfigError(f"{name}: {key} is a single setting, not a section")
        node = child
    node[keys[-1]] = parsed
