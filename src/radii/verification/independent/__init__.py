"""Bounds and radii again, by code of its own: in 50 digits, and sequential tests draw by draw."""

from radii.verification.independent.bounds import BOUNDS as BOUNDS
from radii.verification.independent.bounds import Evidence as Evidence
from radii.verification.independent.bounds import bound_of as bound_of
from radii.verification.independent.radii import CERTIFICATES as CERTIFICATES
from radii.verification.independent.radii import radius_of as radius_of
from radii.verification.independent.sequential import claimed as claimed
from radii.verification.independent.sequential import most_error as most_error
from radii.verification.independent.sequential import nested as nested
