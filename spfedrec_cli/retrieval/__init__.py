"""Rank items for clients, measure the rankings, and set them beside the baselines. Needs numpy, scipy and pyarrow."""
