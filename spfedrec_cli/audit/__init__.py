"""What somebody could guess: attacks on recorded views. Truth and metrics are in `judging`, which no attack sees."""
