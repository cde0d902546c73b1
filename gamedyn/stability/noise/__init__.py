"""Moments of stochastic steps in closed form."""
