"""One file an attack; `audit.table` has a row for each."""
