"""`python -m spfedrec_cli` and the console script `spfedrec`."""


def main() -> None:
    from spfedrec_cli.cli.app import app

    app(prog_name="spfedrec")


if __name__ == "__main__":
    main()
