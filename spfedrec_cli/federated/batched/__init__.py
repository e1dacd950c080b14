"""Local training in batched operations, for a GPU: block after block of clients, each with gradients of its own."""
