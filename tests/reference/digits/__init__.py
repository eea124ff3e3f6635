"""What the library says at random and extreme points, against 50 digits."""

from tests.reference.digits.bounds import BOUND_CHECKS as BOUND_CHECKS
from tests.reference.digits.certificates import CERTIFICATE_CHECKS as CERTIFICATE_CHECKS
from tests.reference.digits.record import Check as Check
from tests.reference.digits.record import Figures as Figures
from tests.reference.digits.record import figures as figures
from tests.reference.digits.special import FUNCTION_CHECKS as FUNCTION_CHECKS

CHECKS: dict[str, Check] = {**BOUND_CHECKS, **CERTIFICATE_CHECKS, **FUNCTION_CHECKS}
