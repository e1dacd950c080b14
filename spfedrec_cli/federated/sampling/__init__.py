"""What is drawn: the cohort, obfuscating items, the public pool, the slate."""
