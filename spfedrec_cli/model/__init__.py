"""The two towers and the losses."""
