"""`python -m spfedrec_cli` and the console script `spfedrec`."""


def main() -> None:
    from spfedrec_cli.cli.app import app
    from spfedrec_cli.cli.output import write_what_can_be_written

    write_what_can_be_written()
    app(prog_name="spfedrec")


if __name__ == "__main__":
    main()
