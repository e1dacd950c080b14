"""What is compiled (numba): loops that are written as one says them, each with its plain form in a test beside it."""
