"""Names, units and CF metadata of everything that hydroxr reads and writes."""
