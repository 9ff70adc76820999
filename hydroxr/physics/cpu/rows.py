"""Pointers, and rows of numbers that move as one vector; importing this imports numba."""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...support.compiled import inlined

# Numbers per row. In float32 they fill a register of 512 bits where the processor has them, else of 256.
LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8

# Each function loads a whole row before it stores any of it: the compiler cannot know that source and
# target do not overlap.


def _at_address(typing_context, address, like):  # type: ignore[no-untyped-def]
    """Make a pointer to numbers of the type of ``like``."""
    pointer = types.CPointer(like)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.intp, like), generate


at: Any = intrinsic(_at_address)


def _size_of_number(typing_context, like):  # type: ignore[no-untyped-def]
    """Size of a number of the type of ``like`` in bytes."""
    return types.intp(like), lambda context, *_: ir.Constant(ir.IntType(64), like.bitwidth // 8)


size_of: Any = intrinsic(_size_of_number)


def _ahead_by(typing_context, pointer, number):  # type: ignore[no-untyped-def]
    """Move a pointer ahead by ``number`` elements."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), generate


ahead: Any = intrinsic(_ahead_by)


def _prefetch_index(typing_context, source, index):  # type: ignore[no-untyped-def]
    """Prefetch the memory around ``source[index]``."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        place = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", (place.type,), kind)
        builder.call(function, [place, number(0), number(3), number(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(source, types.intp), generate


prefetch: Any = intrinsic(_prefetch_index)


def _place_of_row(builder, pointer, index):  # type: ignore[no-untyped-def]
    """A pointer to LANES numbers as a vector, and its alignment in bytes."""
    place = builder.gep(pointer, [index])
    align = 4 if isinstance(place.type.pointee, ir.FloatType) else 8
    return builder.bitcast(place, ir.VectorType(place.type.pointee, LANES).as_pointer()), align


def load_row(builder, pointer, index):  # type: ignore[no-untyped-def]
    place, align = _place_of_row(builder, pointer, index)
    return builder.load(place, align=align)


def store_row(builder, row, pointer, index):  # type: ignore[no-untyped-def]
    place, align = _place_of_row(builder, pointer, index)
    builder.store(row, place, align=align)


def _copy_of_row(typing_context, source, start, target, place):  # type: ignore[no-untyped-def]
    """Copy a row."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        source, start, target, place = arguments
        store_row(builder, load_row(builder, source, start), target, place)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), generate


copy_row: Any = intrinsic(_copy_of_row)


def _pick_of_row(typing_context, source, start, stride, target, place):  # type: ignore[no-untyped-def]
    """Gather LANES numbers, ``stride`` apart, into a row."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        source, start, stride, target, place = arguments
        row = ir.VectorType(source.type.pointee, LANES)(ir.Undefined)
        for lane in range(LANES):
            number = builder.load(builder.gep(source, [start]))
            row = builder.insert_element(row, number, ir.IntType(32)(lane))
            start = builder.add(start, stride)
        store_row(builder, row, target, place)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp), generate


pick_row: Any = intrinsic(_pick_of_row)


def _sum_of_rows(typing_context, source, start, step, number, target, place):  # type: ignore[no-untyped-def]
    """Sum ``number`` rows, ``step`` apart, into a row."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        source, start, step, number, target, place = arguments
        vector = ir.VectorType(source.type.pointee, LANES)
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * LANES))
        with cgutils.for_range(builder, number) as loop:
            row = load_row(builder, source, builder.add(start, builder.mul(loop.index, step)))
            builder.store(builder.fadd(builder.load(total), row), total)
        store_row(builder, builder.load(total), target, place)
        return context.get_dummy_value()

    return types.void(source, *(types.intp,) * 3, target, types.intp), generate


sum_rows: Any = intrinsic(_sum_of_rows)


def _products_of_rows(  # type: ignore[no-untyped-def]
    typing_context, one, start, other, other_start, step, number, target, place
):
    """Add the products of two series of rows, ``step`` apart, to a row."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        one, start, other, other_start, step, number, target, place = arguments
        total = cgutils.alloca_once_value(builder, load_row(builder, target, place))
        with cgutils.for_range(builder, number) as loop:
            offset = builder.mul(loop.index, step)
            row = load_row(builder, one, builder.add(start, offset))
            other_row = load_row(builder, other, builder.add(other_start, offset))
            product = builder.fmul(row, other_row, flags=("contract",))
            builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
        store_row(builder, builder.load(total), target, place)
        return context.get_dummy_value()

    return types.void(one, types.intp, other, *(types.intp,) * 3, target, types.intp), generate


add_products: Any = intrinsic(_products_of_rows)


def _total_of_row(typing_context, source, start):  # type: ignore[no-untyped-def]
    """Sum the numbers of a row pairwise."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        row = load_row(builder, *arguments)
        width = LANES
        while width > 1:
            width //= 2
            parts = (
                ir.Constant(ir.VectorType(ir.IntType(32), width), list(r))
                for r in (range(width), range(width, 2 * width))
            )
            nothing = row.type(ir.Undefined)
            lower, upper = (builder.shuffle_vector(row, nothing, part) for part in parts)
            row = builder.fadd(lower, upper)
        return builder.extract_element(row, ir.IntType(32)(0))

    return source.dtype(source, types.intp), generate


total_of_row: Any = intrinsic(_total_of_row)


def _places_of_rows(builder, pointer, start, number):  # type: ignore[no-untyped-def]
    """Pointers to the numbers of one lane in ``number`` rows."""
    offsets = (start.type(row * LANES) for row in range(number))
    return [builder.gep(pointer, [builder.add(start, offset)]) for offset in offsets]


def _numbers_of_lane(typing_context, slab, start, number):  # type: ignore[no-untyped-def]
    """Read the numbers of one lane from ``number`` rows (a constant), as a tuple."""
    if not isinstance(number, types.IntegerLiteral):
        return None
    result = types.UniTuple(slab.dtype, number.literal_value)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        slab, start, _ = arguments
        places = _places_of_rows(builder, slab, start, len(result))
        return context.make_tuple(builder, result, [builder.load(place) for place in places])

    return result(slab, types.intp, number), generate


get_lane: Any = intrinsic(prefer_literal=True)(_numbers_of_lane)


def _set_numbers_of_lane(typing_context, slab, start, numbers):  # type: ignore[no-untyped-def]
    """Write a tuple into the rows of one lane."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        slab, start, numbers = arguments
        places = _places_of_rows(builder, slab, start, len(signature.args[2]))
        for place, number in zip(places, cgutils.unpack_tuple(builder, numbers), strict=True):
            builder.store(number, place)
        return context.get_dummy_value()

    return types.void(slab, types.intp, numbers), generate


set_lane: Any = intrinsic(_set_numbers_of_lane)


def _add_numbers_of_lane(typing_context, slab, start, numbers):  # type: ignore[no-untyped-def]
    """Add a tuple to the rows of one lane."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        slab, start, numbers = arguments
        places = _places_of_rows(builder, slab, start, len(signature.args[2]))
        for place, number in zip(places, cgutils.unpack_tuple(builder, numbers), strict=True):
            builder.store(builder.fadd(builder.load(place), number), place)
        return context.get_dummy_value()

    return types.void(slab, types.intp, numbers), generate


add_to_lane: Any = intrinsic(_add_numbers_of_lane)


@inlined
def copy_rows(source, start, target, place, number):  # type: ignore[no-untyped-def]
    """Copy ``number`` consecutive rows."""
    for row in range(number):
        copy_row(source, start + row * LANES, target, place + row * LANES)


@inlined
def pointer_to(table):  # type: ignore[no-untyped-def]
    """The pointer to the data of an array."""
    return at(table.ctypes.data, 0)
