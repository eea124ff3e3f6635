"""Bounds and radii again, in 50 digits, by code of its own."""

from radii.verification.independent.bounds import BOUNDS as BOUNDS
from radii.verification.independent.bounds import Evidence as Evidence
from radii.verification.independent.bounds import bound_of as bound_of
from radii.verification.independent.radii import CERTIFICATES as CERTIFICATES
from radii.verification.independent.radii import radius_of as radius_of
