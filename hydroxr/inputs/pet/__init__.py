"""Potential evapotranspiration: the sun, formulas on DataArrays, and the choice of one for a Dataset."""
