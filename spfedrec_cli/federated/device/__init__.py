"""What runs on a customer's device. It knows nothing of the server, and nothing of a simulation."""
