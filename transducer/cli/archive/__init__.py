"""Archives on the command line: many files, several processes, one that goes on where another ended."""
