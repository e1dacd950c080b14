from pathlib import Path
from typing import Any

from answers import Invoke, StandIn, the_json

from spfedrec_cli.engine import Bench, Speed


def told(**changes: Any) -> Bench:
    """Local training at 30 clients a second, whole rounds at 1,362,281 an hour."""
    speeds = [
        Speed("local training", 1000, 10_000, 41_000.0, 40_900.0, [20.0, 30.0, 40.0]),
        Speed("whole rounds", 8192, 105_542, 39_400.0, 39_200.0, [1_362_281 / 3600] * 3),
    ]
    values: dict[str, Any] = {"workers": 1, "speeds": speeds, "machine": {"cores": 2}, "seconds": 33.0}
    return Bench(**{**values, **changes})


def test_a_row_for_each_kind_of_work(invoke: Invoke, stand_in: StandIn) -> None:
    stand_in(bench=told())
    result = invoke("bench")
    rows = [line.split() for line in result.stdout.splitlines()]
    sizes = ["41.0", "kB", "40.9", "kB"]
    assert ["local", "training", "30", "20", "40", "3", "1,000", "10,000", *sizes] in rows
    assert "H&M's 1,362,281 customers, each once  1 h 0 min" in result.stdout
    assert "Extrapolated" in result.stdout


def test_the_json_of_a_bench(invoke: Invoke, stand_in: StandIn) -> None:
    stand_in(bench=told())
    found = the_json(invoke("bench", "--json"))
    assert found["speeds"][0] == {
        "name": "local training",
        "clients": 1000,
        "items": 10_000,
        "clients_per_second": 30.0,
        "lowest": 20.0,
        "highest": 40.0,
        "repeats": 3,
        "bytes_up": 41_000.0,
        "bytes_down": 40_900.0,
    }
    assert found["extrapolated"] == {"clients": 1_362_281, "seconds": 3600.0}
    assert (found["workers"], found["machine"]) == (1, {"cores": 2})


def test_what_is_said_reaches_the_engine_and_what_is_not_is_left_to_it(invoke: Invoke, stand_in: StandIn) -> None:
    calls = stand_in(bench=told())
    invoke("bench", "--workers", "2", "--seconds", "5", "--device", "auto")
    said = {"workers": 2, "seconds": 5.0, "device": "auto"}
    assert {name: calls.last[2][name] for name in said} == said
    invoke("bench")
    assert set(calls.last[2]) == {"tell"}


def test_more_workers_than_cores_are_remarked_upon(invoke: Invoke, stand_in: StandIn) -> None:
    stand_in(bench=told(workers=3))
    assert "3 workers shared 2 cores" in invoke("bench", "--workers", "3", "--quiet").stderr


def test_no_workers_and_no_time_to_go_back_are_refused(invoke: Invoke) -> None:
    assert invoke("bench", "--workers", "0").exit_code == 2
    assert invoke("bench", "--seconds", "-1").exit_code == 2


def test_nothing_is_written(invoke: Invoke, stand_in: StandIn, workplace: Path) -> None:
    stand_in(bench=told())
    invoke("bench")
    assert list(workplace.iterdir()) == []
