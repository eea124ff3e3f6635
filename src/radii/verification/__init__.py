"""Whether a run is what it claims: recomputed, drawn again, sealed and signed."""

from radii.verification.keys import new_key as new_key
from radii.verification.redraw import Material as Material
from radii.verification.result import Check as Check
from radii.verification.result import Verification as Verification
from radii.verification.seals import seal as seal
from radii.verification.verifying import verify as verify
