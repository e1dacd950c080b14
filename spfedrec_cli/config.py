"""The settings of a run: defaults < preset < `--config FILE.toml` < `--set section.key=value`.

Every section is a frozen model and goes alone to the module that it configures. Unknown keys are refused, with the
nearest known one named. The resolved configuration is saved beside what it produced.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from spfedrec_cli.errors import InputError, listed, nearest
from spfedrec_cli.sections import (
    ClientConfig as ClientConfig,
)
from spfedrec_cli.sections import (
    Config as Config,
)
from spfedrec_cli.sections import (
    FederatedConfig as FederatedConfig,
)
from spfedrec_cli.sections import (
    ModelConfig as ModelConfig,
)
from spfedrec_cli.sections import (
    RequestConfig as RequestConfig,
)
from spfedrec_cli.sections import (
    SecondStageConfig as SecondStageConfig,
)
from spfedrec_cli.sections import (
    ServerConfig as ServerConfig,
)
from spfedrec_cli.sections import (
    Settings as Settings,
)
from spfedrec_cli.sections import (
    SimulationConfig as SimulationConfig,
)
from spfedrec_cli.sections import (
    TrainConfig as TrainConfig,
)


def presets() -> dict[str, str]:
    """Names of the shipped presets, each with its opening comment."""
    files = sorted(_presets().iterdir(), key=lambda file: file.name)
    return {f.name[:-5]: f.read_text().split("\n", 1)[0].lstrip("# ") for f in files if f.name.endswith(".toml")}


def resolve(preset: str | None = None, file: Path | str | None = None, settings: Iterable[str] = ()) -> Config:
    """The configuration after all layers. Names of rows of tables, and what goes together, are checked by
    `engine.settings`, when a training begins.

    Raises InputError for an unknown preset or key, a file that is not TOML, and a value that does not fit.
    """
    layers: dict[str, Any] = {}
    if preset is not None:
        _merge(layers, _preset(preset), f"preset {preset}")
    if file is not None:
        _merge(layers, _toml(Path(file)), str(file))
    for setting in listed(settings):
        _merge(layers, _setting(setting), f"--set {setting}")
    return validate(layers)


def validate(values: Mapping[str, Any]) -> Config:
    """A Config of nested `values`; raises InputError naming the key, the value and what would fit."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise unknown_key(key) from None
        given, kind = first["input"], first["type"]
        message = _MESSAGES.get(kind) or re.sub("^(Input|String|Value error,) ", "", first["msg"])
        hint = HELP
        if kind == "string_type" and isinstance(given, int | float):
            hint = f"write it in quotes: --set '{key}=\"{json.dumps(given)}\"'"
        raise InputError(f"The setting {key} = {given!r} does not fit: it {message}", hint=hint) from None


_MESSAGES = {"int_parsing_size": "is too large for an integer"}


HELP = "see `spfedrec config show` for every key with its meaning"


def keys() -> list[str]:
    """Every key as section.name."""
    return [f"{section}.{key}" for section, model in _sections().items() for key in model.model_fields]


def unknown_key(key: str) -> InputError:
    """The error for a key that does not exist, with the nearest one that does."""
    tail = key.rsplit(".", 1)[-1]
    tails = {known.rsplit(".", 1)[-1]: known for known in reversed(keys())}
    near = nearest(key, keys(), 0.75) or tails.get(nearest(tail, list(tails), 0.7) or "")
    near = near or nearest(key, keys())
    return InputError(f"There is no setting {key}", hint=f"did you mean {near}?" if near else HELP)


def _unknown_section(section: str, source: str) -> InputError:
    near = nearest(section, list(Config.model_fields))
    hint = f"did you mean {near}?" if near else f"the sections are {', '.join(Config.model_fields)}"
    return InputError(f"There is no section {section}", where=source, hint=hint)


def to_toml(config: Config) -> str:
    """The whole configuration as TOML."""
    return tomli_w.dumps(config.model_dump(mode="json"))


def digest(settings: Settings) -> bytes:
    """SHA-256 of what every device follows: all settings but those of the training as a whole (`train`), of which the
    seed alone counts. As JSON, keys in order, without blanks."""
    told = settings.model_dump(mode="json", include=set(Settings.model_fields) - {"train"})
    told["train"] = {"seed": settings.train.seed}
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).digest()


def describe() -> list[tuple[str, str, str]]:
    """(key, default, meaning) of every setting."""
    return [
        (f"{section}.{key}", str(field.default), field.description or "")
        for section, model in _sections().items()
        for key, field in model.model_fields.items()
    ]


def _sections() -> dict[str, type[BaseModel]]:
    return {name: type(field.default) for name, field in Config.model_fields.items()}


def _merge(into: dict[str, Any], layer: Mapping[str, Any], source: str) -> None:
    for section, values in layer.items():
        if section not in Config.model_fields:
            raise _unknown_section(section, source)
        if not isinstance(values, Mapping):
            raise InputError(
                f"{section} is a section, not a value", where=source, hint=f"write [{section}] and its keys"
            )
        into.setdefault(section, {}).update(values)


def _preset(name: str) -> dict[str, Any]:
    known = presets()
    if name not in known:
        near = nearest(name, list(known))
        hint = f"did you mean {near}?" if near else f"the presets are {', '.join(known)}"
        raise InputError(f"There is no preset {name!r}", hint=hint)
    return tomllib.loads((_presets() / f"{name}.toml").read_text())


def _presets() -> Traversable:
    return resources.files("spfedrec_cli") / "presets"


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))  # which some editors begin with a mark
    except FileNotFoundError:
        raise InputError("The configuration file does not exist", where=str(file), hint="check the path") from None
    except (ValueError, RecursionError) as error:  # also of a number of thousands of digits, and of deep brackets
        raise InputError(
            f"The configuration file is not TOML: {error}", where=str(file), hint="mend that place"
        ) from None
    except OSError as error:
        raise InputError("The configuration file cannot be read", where=str(file), hint=str(error.strerror)) from None


def _setting(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot and section and name):
        raise InputError(f"--set takes section.key=value, not {text!r}", hint="for example --set train.rounds=50")
    try:
        read = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):
        read = {}
    parsed = read["value"] if len(read) == 1 else value.strip()  # what says more, on lines of its own, is no value
    return {section: {name: parsed}}
