"""Several neighbouring entries of a row as one value, which stays in the CPU's registers while a loop adds to it.

LLVM makes of a vector whatever the machine has; every lane is computed as a number alone would be, so results have the
same bits on any machine's width. What is written for `like`, a vector or a number, serves whole rows piece by piece:

    j = pieces(..., 0, end, WIDE, wide(zero))  # while j + lanes <= end: ...; j += lanes
    j = pieces(..., j, end, NARROW, narrow(zero))
    pieces(..., j, end, ONE, zero)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import literal_unroll, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, overload, register_model
from numba.np.numpy_support import as_dtype

WIDE, NARROW, ONE = np.uintp(32), np.uintp(8), np.uintp(1)  # lanes
_IN_PLACE = {
    "forceinline": True
}  # no function of its own, whose name another process's compiled code might share


class Vector(types.Type):
    """`lanes` numbers of one floating-point type."""

    def __init__(self, dtype: types.Float, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(f"vector({dtype}, {lanes})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """LLVM's own vector."""

    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        number = dmm.lookup(fe_type.dtype).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(number, fe_type.lanes))


def _everywhere(builder: ir.IRBuilder, number: ir.Value, lanes: int) -> ir.Value:
    index, kind = ir.IntType(32), ir.VectorType(number.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, index(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(index, lanes), [0] * lanes))


def _vector_of(lanes: int) -> Callable[..., Any]:
    @intrinsic
    def vector(context, number):
        def generate(context, builder, signature, arguments):
            return _everywhere(builder, arguments[0], lanes)

        return Vector(number, lanes)(number), generate

    return vector


wide, narrow = _vector_of(int(WIDE)), _vector_of(int(NARROW))


class Entries(types.Type):
    """Where the entries of an array are; numba counts no references to it, which would take an inner loop longer than
    its work. Whoever makes it holds the array.
    """

    def __init__(self, dtype: types.Number) -> None:
        self.dtype = dtype
        super().__init__(f"entries({dtype})")


@register_model(Entries)
class EntriesModel(models.StructModel):
    """The first entry, and bytes from row to row."""

    def __init__(self, dmm: Any, fe_type: Entries) -> None:
        super().__init__(dmm, fe_type, [("data", types.CPointer(fe_type.dtype)), ("stride", types.intp)])


@intrinsic
def entries(context, array):
    """Of an array [n, m], each row without gaps, or [m]: one row. Errors: `TypingError` for columns without gaps."""
    if array.layout == "F" or (array.ndim == 1 and array.layout != "C"):
        raise TypingError(f"{array}: expected rows whose entries follow one another; copy it into C order")
    kind = Entries(array.dtype)

    def generate(context, builder, signature, arguments):
        given = context.make_array(array)(context, builder, arguments[0])
        made = cgutils.create_struct_proxy(kind)(context, builder)
        made.data, made.stride = given.data, builder.extract_value(given.strides, 0)
        return made._getvalue()

    return kind(array), generate


def _same_number(vector: Vector, other: Any) -> Vector:
    """The vector's type, if its lanes are of the other's type. Errors: `TypingError`."""
    if vector.dtype != getattr(other, "dtype", other):
        raise TypingError(f"{vector} beside {other}: expected numbers of one type")
    return vector


def _pointer(context, builder, kind, given, row, column, entry):
    """To entry [row, column]; nothing is checked."""
    matrix = cgutils.create_struct_proxy(kind)(context, builder, given)
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    place = builder.add(builder.mul(row, matrix.stride), builder.mul(column, row.type(size)))
    address = builder.add(builder.ptrtoint(matrix.data, row.type), place)
    return builder.inttoptr(address, entry.as_pointer()), size


@intrinsic
def load(context, matrix, row, column, like):
    """The entries of a matrix from [row, column] on, as many as `like` has."""

    def generate(context, builder, signature, arguments):
        entry = context.get_value_type(signature.return_type)
        pointer, size = _pointer(context, builder, matrix, *arguments[:3], entry)
        return builder.load(pointer, align=size)

    kind = _same_number(like, matrix) if isinstance(like, Vector) else matrix.dtype
    return kind(matrix, types.uintp, types.uintp, like), generate


@intrinsic
def store(context, matrix, row, column, value):
    """Write `value` to a matrix from [row, column] on."""

    def generate(context, builder, signature, arguments):
        pointer, size = _pointer(context, builder, matrix, *arguments[:3], arguments[3].type)
        builder.store(arguments[3], pointer, align=size)
        return context.get_dummy_value()

    kind = _same_number(value, matrix) if isinstance(value, Vector) else matrix.dtype
    return types.void(matrix, types.uintp, types.uintp, kind), generate


@intrinsic
def filled(context, number, like):
    """The number, in as many lanes as `like` has."""

    def generate(context, builder, signature, arguments):
        return _everywhere(builder, arguments[0], like.lanes) if isinstance(like, Vector) else arguments[0]

    return like(like.dtype if isinstance(like, Vector) else like, like), generate


@intrinsic
def square_root(context, value):
    """Of every lane."""

    def generate(context, builder, signature, arguments):
        kind = arguments[0].type
        lanes, number = (f"v{value.lanes}", value.dtype) if isinstance(value, Vector) else ("", value)
        name = f"llvm.sqrt.{lanes}f{number.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
        return builder.call(function, arguments)

    return value(value), generate


@intrinsic
def larger(context, a, b):
    """The larger of each pair of lanes; b where either is NaN."""

    def generate(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return a(a, a), generate


@intrinsic
def _times_two_to(context, value, rounded):
    """value 2^n of every lane, n what was rounded to a whole number by adding 1.5 2^m to it, m the bits of a mantissa:
    n stands in the lowest bits of the sum, from where it is shifted into an exponent.
    """
    number = value.dtype if isinstance(value, Vector) else value
    mantissa, bias = {32: (23, 127), 64: (52, 1023)}[number.bitwidth]

    def generate(context, builder, signature, arguments):
        kind, whole = arguments[0].type, ir.IntType(number.bitwidth)
        if isinstance(value, Vector):
            whole = ir.VectorType(whole, value.lanes)

        def constant(n: int) -> ir.Constant:
            return ir.Constant(whole, [n] * value.lanes if isinstance(value, Vector) else n)

        bits = builder.shl(builder.bitcast(arguments[1], whole), constant(mantissa))
        power = builder.bitcast(builder.add(bits, constant(bias << mantissa)), kind)
        return builder.fmul(arguments[0], power)

    return value(value, value), generate


def exp_of_negative(x):
    """exp(x) of every lane, x <= 0, as exact as log2(e) x is in its type, but no less than its smallest normal number;
    NaN of NaN.
    """


@overload(exp_of_negative, jit_options=_IN_PLACE)
def _overload_exp(x):
    number = as_dtype(x.dtype if isinstance(x, Vector) else x).type
    lowest, terms = {np.float32: (-126, 8), np.float64: (-1022, 14)}[number]
    # 2^z = 2^n 2^f with n whole and |f| <= 1/2: the latter from its series.
    log2e, least, shift = number(math.log2(math.e)), number(lowest), number(1.5 / np.finfo(number).eps)
    series = tuple(number(math.log(2) ** k / math.factorial(k)) for k in reversed(range(terms)))

    def exp(x):
        z = larger(filled(least, x), log2e * x)
        rounded = z + shift
        f = z - (rounded - shift)
        total = filled(series[0], x)
        for k in literal_unroll(series[1:]):
            total = total * f + k
        return _times_two_to(total, rounded)

    return exp


def _arithmetic(operation: Callable[..., Any], instruction: str) -> None:
    """A vector with a vector, or with a number for every lane."""

    @intrinsic
    def apply(context, a, b):
        kind = _same_number(a, b) if isinstance(a, Vector) else _same_number(b, a)

        def generate(context, builder, signature, arguments):
            lanes = [
                x if isinstance(each, Vector) else _everywhere(builder, x, kind.lanes)
                for each, x in zip(signature.args, arguments, strict=True)
            ]
            return getattr(builder, instruction)(*lanes)

        given = (each if isinstance(each, Vector) else kind.dtype for each in (a, b))
        return kind(*given), generate

    @overload(operation, jit_options=_IN_PLACE)
    def overloaded(a, b):
        if isinstance(a, Vector) or isinstance(b, Vector):
            return lambda a, b: apply(a, b)
        return None


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_operation, _instruction)
