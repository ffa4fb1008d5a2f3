"""The rules, free of input, output, clock and randomness."""
