"""What follows from a simulation: derived variables, water balance, baseflow, means over areas and time."""
