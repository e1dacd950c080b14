"""What lies on devices is never handed to a function of the server."""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated import server
from spfedrec_cli.federated.device.client import Device
from spfedrec_cli.federated.server.known import Known
from spfedrec_cli.federated.server.state import ServerState
from spfedrec_cli.federated.simulation.devices import Devices
from spfedrec_cli.federated.simulation.round import Cohort
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World

CHECKOUT = Path(__file__).parents[3]
ON_DEVICES = {Devices, Device, Cohort, Ragged, State, World}


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every function and method that the server's room defines."""
    for found in pkgutil.iter_modules(server.__path__, f"{server.__name__}."):
        module = importlib.import_module(found.name)
        for name, thing in vars(module).items():
            if getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(thing):
                yield from (
                    (f"{module.__name__}.{name}.{each}", f) for each, f in inspect.getmembers(thing, callable_of)
                )
            elif inspect.isfunction(thing):
                yield f"{module.__name__}.{name}", thing


def callable_of(thing: Any) -> bool:
    return inspect.isfunction(thing) and thing.__module__.startswith(server.__name__)


def reached(annotation: Any, seen: set[Any]) -> set[Any]:
    """Every type that something of this type can hold."""
    parts = typing.get_args(annotation)
    for part in parts:
        if not isinstance(part, (str, int, list)):
            reached(part, seen)
    if isinstance(annotation, type) and annotation not in seen and not isinstance(annotation, types.GenericAlias):
        seen.add(annotation)
        if is_dataclass(annotation):
            for hint in typing.get_type_hints(annotation).values():
                reached(hint, seen)
    return seen


def test_no_function_of_the_server_takes_what_lies_on_devices() -> None:
    walked = 0
    for name, function in functions():
        for parameter, hint in typing.get_type_hints(function).items():
            held = reached(hint, set()) & ON_DEVICES
            assert not held, f"{name} is handed {held} as {parameter}"
            walked += 1
    assert walked > 100


def test_the_walk_would_notice() -> None:
    assert reached(dict[str, World], set()) & ON_DEVICES >= {World, Devices, Ragged}
    assert reached(tuple[State, ...] | None, set()) & ON_DEVICES == {State}
    assert Known not in reached(ServerState, set())


def test_what_the_server_knows_has_no_row_of_a_client() -> None:
    from worlds import build_world

    known = build_world().known
    assert len(known.client_fields) == 0
    assert {field.name for field in fields(known)} == {
        "config", "items", "client_fields", "eligible", "width", "team", "device", "given_popularity",
    }  # fmt: skip
    assert not hasattr(known.config, "simulation")


SNIPPET = """
from spfedrec_cli.federated.server.publishing import draw_slate, obfuscating_distribution, serve_rows
from spfedrec_cli.federated.server.steps import full_step, server_step
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World

def wrong(state: State, world: World) -> None:
    obfuscating_distribution(state.server, world.devices)
    obfuscating_distribution(state, world.known)
    serve_rows(state.server, world.devices, world.known.eligible, 0.0)
    server_step(state.server, world, None, state.private, state.private, 1)
    full_step(state, world.known, state.query["a"], state.query["a"], 1)
    draw_slate(state.server, world.devices, world.kept.rotation)

def right(state: State, world: World) -> None:
    obfuscating_distribution(state.server, world.known)
"""


@pytest.mark.slow
def test_the_type_checker_refuses_devices(tmp_path: Path) -> None:
    """Every wrong line, and no other. Without the packages that ours needs, whose types take longer than ours."""
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET)
    flags = ["--config-file=", "--no-site-packages", "--follow-imports=silent"]
    command = [sys.executable, "-m", "mypy", *flags, f"--cache-dir={tmp_path / 'cache'}", str(file)]
    environment = {**os.environ, "MYPYPATH": str(CHECKOUT)}
    checked = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    lines = {int(line.split(":")[1]) for line in checked.stdout.splitlines() if line.startswith(str(file))}
    wrong = [number for number, line in enumerate(SNIPPET.splitlines(), 1) if line.startswith("    ")]
    assert lines == set(wrong[:-1])
