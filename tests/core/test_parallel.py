"""Order, bounds, errors and ends of work done ahead. Threads are held at gates, never timed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lucidbox.core.parallel import cores, in_order, in_threads


@pytest.fixture
def pool():
    with ThreadPoolExecutor(3) as threads:
        yield threads


def test_results_come_in_the_order_of_the_items_whoever_is_first(pool):
    """The first of each three waits until the other two are done."""
    gates = [threading.Semaphore(0) for _ in range(10)]

    def work(item):
        if item % 3 == 0:
            for _ in range(2):
                assert gates[item // 3].acquire(timeout=60)
        else:
            gates[item // 3].release()
        return item * item

    assert list(in_order(pool, work, range(30), room=6)) == [item * item for item in range(30)]


def test_no_more_items_are_in_hand_than_there_is_room_for(pool):
    asked, taken, most = 0, 0, 0

    def items():
        nonlocal asked, most
        for item in range(50):
            asked += 1
            most = max(most, asked - taken)
            yield item

    results = in_order(pool, str, items(), room=4)
    assert asked == 0  # nothing is begun before the first is asked for
    for _ in results:
        taken += 1
    assert (taken, most) == (50, 4)


def test_an_error_comes_in_its_place(pool):
    def work(item):
        if item == 3:
            raise ValueError("three")
        return item

    results = in_order(pool, work, range(10), room=5)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_items_that_fail_to_come_fail_after_the_results_before_them(pool):
    def items():
        yield from range(3)
        raise ValueError("no fourth")

    results = in_order(pool, str, items(), room=5)
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(ValueError, match="no fourth"):
        next(results)


def test_closing_drops_what_no_thread_has_begun():
    begun, may_go_on = [], threading.Semaphore(1)

    def work(item):
        begun.append(item)
        assert may_go_on.acquire(timeout=60)
        return item

    with ThreadPoolExecutor(1) as pool:
        results = in_order(pool, work, range(100), room=5)
        assert next(results) == 0
        results.close()
        may_go_on.release()
    assert begun in ([0], [0, 1])


def test_there_is_a_core():
    assert cores() >= 1


def test_threads_of_its_own_end_with_the_results():
    before = threading.active_count()
    results = in_threads(str, range(100), threads=3)
    assert [next(results) for _ in range(5)] == list("01234")
    results.close()
    assert threading.active_count() == before
    assert list(in_threads(str, range(4))) == list("0123")
