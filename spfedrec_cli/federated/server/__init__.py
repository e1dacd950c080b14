"""What runs on the server. It knows nothing of devices, and nothing of a simulation."""
