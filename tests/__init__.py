"""Tests of `radii`."""
