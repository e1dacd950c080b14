"""The world that rounds are simulated in: the server, all devices, and the loop over a cohort of them."""
