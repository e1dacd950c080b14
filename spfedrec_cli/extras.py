"""What is installed on demand: packages that `pip install 'spfedrec[EXTRA]'` brings."""

from importlib.util import find_spec

from spfedrec_cli.errors import InputError


def needs(what: str, extra: str, *modules: str) -> None:
    """Raises InputError, with the command that installs them, where one of the modules of an extra is missing."""
    missing = [name for name in modules if not find_spec(name)]
    if missing:
        hint = f"install it with `pip install 'spfedrec[{extra}]'`"
        raise InputError(f"{what} needs {missing[0]}, which is not installed", hint=hint)
