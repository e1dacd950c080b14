"""The settings of the run, and where it was made."""

from spfedrec_cli.config import Config, describe
from spfedrec_cli.report.facts import Facts
from spfedrec_cli.report.parts import Section, Table


def section(facts: Facts) -> Section:
    run = facts.first
    meanings = {key: meaning for key, _, meaning in describe()}
    own, default = _flat(run.config), _flat(Config())
    changed = [
        (key, value, default.get(key), meanings.get(key, "")) for key, value in own.items() if value != default.get(key)
    ]
    every = [(key, value, meanings.get(key, "")) for key, value in own.items()]
    head = ("setting", "value", "default", "meaning")
    about = Table("Machine and versions", ("", ""), [(key, str(value)) for key, value in run.environment.items()])
    told = f"The same again: `spfedrec train {facts.shop.name} --config {run.path}/config.toml --name again`."
    return Section(
        "settings",
        "Settings",
        [told],
        folded=[
            Table("Settings that are not the default", head, changed),
            Table("All settings", (*head[:2], head[3]), every),
            about,
        ],
    )


def _flat(config: Config) -> dict[str, str]:
    sections = config.model_dump(mode="json").items()
    return {f"{section}.{key}": str(value) for section, values in sections for key, value in values.items()}
