"""The command line: each command parses, calls the library and renders. Nothing else talks to a terminal."""
