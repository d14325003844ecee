"""Compile a causal query into a program that samples from its answer."""

__version__ = "0.1.0"
