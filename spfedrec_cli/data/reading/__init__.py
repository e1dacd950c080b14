"""Raw files to columns of numbers and texts: however packed and written, with bad rows named."""
