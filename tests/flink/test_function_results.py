"""What functions of SQL give, as Flink's own encoder takes it."""

from decimal import Decimal

import numpy
import pytest
from pyflink.fn_execution.coders import BigIntCoder, BooleanCoder, CharCoder, DoubleCoder, FlattenRowCoder

from udfs.results import WrongResult, as_declared

CODERS = {"double": DoubleCoder(), "bigint": BigIntCoder(), "string": CharCoder(), "boolean": BooleanCoder()}


@pytest.mark.parametrize(
    ("result", "given", "expected"),
    [
        ("double", 3, 3.0),
        ("double", 2**70, 2.0**70),
        ("double", Decimal("2.5"), 2.5),
        ("double", numpy.float32(2.5), 2.5),
        ("double", numpy.int16(3), 3.0),
        ("double", numpy.array(2.5), 2.5),
        ("bigint", numpy.int64(7), 7),
        ("bigint", numpy.float64(7.0), 7),
        ("bigint", 2**63 - 1, 2**63 - 1),
        ("string", numpy.str_("20 °C"), "20 °C"),
        ("boolean", numpy.bool_(True), True),
        *((result, None, None) for result in CODERS),
    ],
)
def test_what_fits_its_type_is_encoded_and_is_pythons_own(result, given, expected):
    found = as_declared(result, given)
    coder = FlattenRowCoder([CODERS[result]]).get_impl()
    assert (found, type(found)) == (expected, type(expected))
    assert coder.decode(coder.encode([found])) == [expected]


@pytest.mark.parametrize(
    ("result", "given"),
    [
        *((result, [1.0]) for result in CODERS),
        *((result, numpy.array([1.0, 2.0])) for result in CODERS),
        ("double", "x"),
        ("bigint", "7"),
        ("bigint", 2**63),
        ("string", 7),
        ("string", "\ud800"),
        ("boolean", "true"),
    ],
)
def test_what_the_encoder_fails_on_is_told_before(result, given):
    with pytest.raises((TypeError, AttributeError, OverflowError, UnicodeEncodeError)):
        FlattenRowCoder([CODERS[result]]).get_impl().encode([given])
    with pytest.raises(WrongResult):
        as_declared(result, given)
