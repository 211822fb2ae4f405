"""Tables of runs: their rows and columns, paired differences, and output formats."""
