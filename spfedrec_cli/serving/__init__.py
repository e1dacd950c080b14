"""What a device runs that has a bundle: numpy, and onnxruntime where it is there; no torch, pandas or Arrow."""
