"""Raw files to columns of numbers and texts: packed or not, delimited text or Parquet, with bad rows named."""
