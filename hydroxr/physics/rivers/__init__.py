"""Routing through a river network on arrays: its equations, compiled kernels and their adjoint."""
