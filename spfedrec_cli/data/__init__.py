"""Raw tables in, self-describing Datasets out."""
