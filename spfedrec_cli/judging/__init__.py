"""What is true, and how good a guess is. Attacks never import this, and this imports no attack."""
