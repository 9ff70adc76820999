"""A graph that is cut into parts computes the same, and nothing twice."""

from __future__ import annotations

from collections import Counter
from functools import partial
from operator import add
from typing import Any

import dask.array as da
import numpy as np
import pytest

from hydroxr.support.dask_cluster import _in_order, _side_by_side
from hydroxr.support.dask_graphs import Part, cut, held


def computed(parts: dict[Any, Part]) -> dict[Any, Any]:
    """The results of all parts, each after those that it needs."""
    found: dict[Any, Any] = {}
    for key, part in parts.items():
        found[key] = part(*(found[need] for need in part.inputs))
    return found


def owned(parts: dict[Any, Part]) -> Counter[Any]:
    """How many parts have each task; data is copied."""
    return Counter(key for part in parts.values() for key, task in part.tasks.items() if callable(task[0]))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_parts_compute_the_same_and_nothing_twice(seed: int, apart: bool) -> None:
    """Whatever needs what."""
    random = np.random.default_rng(seed)
    graph: dict[Any, Any] = {("x", n): (int, str(n)) for n in range(5)}
    for n in range(5, 60):
        one, other = random.integers(max(0, n - 12), n, 2)
        graph["x", n] = (add, ("x", int(one)), ("x", int(other)))
    results = [("x", int(n)) for n in random.choice(np.arange(40, 60), 6, replace=False)]
    parts = cut(graph, results, apart=apart)
    expected: dict[Any, int] = {}
    for key, (function, *args) in graph.items():
        expected[key] = function(*(expected.get(arg, arg) for arg in args))
    found = computed(parts)
    assert {key: found[key] for key in results} == {key: expected[key] for key in results}
    assert set(owned(parts).values()) == {1}
    assert [key for _, key in _in_order(results, parts)] != []
    done: set[Any] = set()
    for _, key in _in_order(results, parts):
        assert {*parts[key].inputs} <= done
        done.add(key)
    assert done == set(parts)


def test_what_one_block_needs_is_one_part() -> None:
    """What two need is another, what is given is none, and a handle of a store is in each."""
    graph = {"store": b"handle", "read": (len, "store"), "other": (len, "store"), "a": (add, "read", "other")}
    graph |= {"b": (add, "read", "given")}
    parts = cut(graph, ["a", "b"], ["given"])
    assert {key: {*part.tasks} for key, part in parts.items()} == {
        "read": {"store", "read"},
        "a": {"store", "other", "a"},
        "b": {"b"},
    }
    assert parts["b"].inputs == ("read", "given")


def chain_graph(chains: str, length: int) -> dict[Any, Any]:
    """Each block needs the one before and what it reads itself."""
    graph: dict[Any, Any] = {}
    for c in chains:
        for n in range(length):
            graph["read", c, n] = (int, "1")
            before = [("run", c, n - 1)] if n else [1]
            graph["run", c, n] = (add, ("read", c, n), *before)
            graph["write", c, n] = (str, ("run", c, n))
    return graph


def test_a_block_that_computes_others_once_more_reads_in_their_order() -> None:
    """As where a run goes on in the middle of a chain: none is read long before it is needed."""
    graph = chain_graph("a", 20)
    parts = cut(graph, [("write", "a", 19)], apart=True)
    order = [key for _, key in _in_order([("write", "a", 19)], parts)]
    for n in range(2, 20):
        assert order.index(("run", "a", n - 2)) < order.index(("read", "a", n))


def test_chains_go_side_by_side() -> None:
    """So many at a time, and time by time; more where they read the same."""
    graph = chain_graph("abcd", 3)
    chains = [[("write", c, n) for n in range(3)] for c in "abcd"]
    parts = cut(graph, [block for chain in chains for block in chain])
    names = ["".join(map(str, block[1:])) for block in _side_by_side(chains, parts, 2)]
    assert names == ["a0", "b0", "a1", "b1", "a2", "b2", "c0", "d0", "c1", "d1", "c2", "d2"]
    for c in "abc":
        graph["run", c, 0] = (add, ("read", c, 0), "shared")
    graph["shared"] = (int, "2")
    parts = cut(graph, [block for chain in chains for block in chain])
    names = ["".join(map(str, block[1:])) for block in _side_by_side(chains, parts, 2)]
    assert names[:6] == ["a0", "b0", "c0", "a1", "b1", "c1"]
    assert names[-3:] == ["d0", "d1", "d2"]


def test_a_mean_of_all_is_not_one_task() -> None:
    """Else all blocks would have to be in the memory of one worker."""
    graph: dict[Any, Any] = {("x", n): (int, "1") for n in range(40)}
    graph |= {("pair", n): (add, ("x", 2 * n), ("x", 2 * n + 1)) for n in range(20)}
    graph["sum"] = (sum, [("pair", n) for n in range(20)])
    graph |= {("write", n): (add, ("x", n), "sum") for n in range(40)}
    parts = cut(graph, [("write", n) for n in range(40)])
    assert parts["pair", 3].inputs == (("x", 6), ("x", 7))
    assert computed(parts)["write", 0] == 41


class Wanted:
    """What a graph may hold somewhere."""


class Slotted:
    """Holds something without a dictionary."""

    __slots__ = ("one",)

    def __init__(self, one: Any) -> None:
        self.one = one


def test_what_a_graph_holds_is_found_wherever_it_is() -> None:
    """In closures, partial functions, containers and slots; not by way of an error that was raised."""
    inside = [Wanted() for _ in range(4)]
    outside = Wanted()
    error = RuntimeError("raised")
    try:
        raise error
    except RuntimeError:
        pass

    def block(values: np.ndarray, given: Any = None) -> np.ndarray:
        if given is error:
            raise error
        return values if inside[0] else -values

    array = da.ones((4, 4), chunks=2).map_blocks(block, given=Slotted({"a": [inside[1]]}), dtype=float)
    array = array.map_blocks(partial(block, given=(inside[2],)), dtype=float) + 1
    assert {id(one) for one in held(array, Wanted)} == {id(one) for one in inside}
    assert outside not in held(array, Wanted)
