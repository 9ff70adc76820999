"""Simulations: from a Dataset and a model to a Dataset of fluxes and states."""
