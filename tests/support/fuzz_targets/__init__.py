"""What is fuzzed, a module each; see fuzzing."""
