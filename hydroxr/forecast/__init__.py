"""Forecasts from many dates at once."""
