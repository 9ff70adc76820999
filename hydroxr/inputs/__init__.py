"""What a Dataset holds: variables found by name, cells, days, attributes, plausible ranges."""
