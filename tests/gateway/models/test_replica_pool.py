import pytest

from sizeup_gateway.models.replica_pool import NoReplicaError, ReplicaPool


def ready_pool(count: int) -> ReplicaPool:
    pool = ReplicaPool(f"http://replica-{i}/" for i in range(count))
    for replica in pool.replicas:
        replica.ready = True
    return pool


def test_replicas_start_not_ready() -> None:
    pool = ReplicaPool(["http://a"])
    assert (pool.ready_count, pool.pick()) == (0, None)
    with pytest.raises(NoReplicaError), pool.lease():
        pass


def test_the_least_busy_ready_replica_is_picked() -> None:
    pool = ready_pool(3)
    a, b, c = pool.replicas
    a.in_flight, b.in_flight, c.in_flight = 2, 1, 0
    c.ready = False
    assert pool.pick() is b


def test_ties_are_round_robin() -> None:
    pool = ready_pool(3)
    picked = []
    for _ in range(6):
        with pool.lease() as replica:
            picked.append(replica)
    assert picked == [*pool.replicas, *pool.replicas]


def test_many_leases_spread_evenly() -> None:
    pool = ready_pool(3)
    leases = [pool.lease() for _ in range(9)]
    for lease in leases:
        lease.__enter__()
    assert [replica.in_flight for replica in pool.replicas] == [3, 3, 3]


def test_a_lease_is_released_after_an_exception() -> None:
    pool = ready_pool(1)
    (replica,) = pool.replicas
    seen: list[int] = []

    def fail() -> None:
        with pool.lease():
            seen.append(replica.in_flight)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (seen, replica.in_flight) == ([1], 0)


def test_the_replica_to_avoid_is_picked_only_alone() -> None:
    pool = ready_pool(2)
    a, b = pool.replicas
    b.in_flight = 100
    assert pool.pick(avoid=a) is b
    b.ready = False
    assert pool.pick(avoid=a) is a


def test_a_trailing_slash_is_dropped() -> None:
    assert ReplicaPool(["http://a/"]).replicas[0].url == "http://a"


def test_a_kept_replica_keeps_its_requests_and_a_new_one_is_not_ready() -> None:
    pool = ready_pool(2)
    a, b = pool.replicas
    with pool.lease() as leased:
        pool.set_endpoints(["http://replica-1", "http://replica-2/"])
        kept, new = pool.replicas
        assert (kept, leased, a in pool.replicas) == (b, a, False)
        assert (kept.ready, new.ready, new.url) == (True, False, "http://replica-2")
        assert (a.in_flight, pool.in_flight) == (1, 1)
    assert (a.in_flight, pool.in_flight) == (0, 0)


def test_an_equal_list_changes_nothing_and_duplicates_count_once() -> None:
    pool = ready_pool(2)
    before = pool.replicas
    pool.set_endpoints(["http://replica-0", "http://replica-1/", "http://replica-0/"])
    assert pool.replicas is before
    pool.set_endpoints([])
    assert (pool.replicas, pool.pick()) == ((), None)


def test_callbacks_run_when_a_replica_becomes_ready() -> None:
    pool = ReplicaPool(["http://a", "http://b"])
    called: list[int] = []
    pool.on_change(lambda: called.append(pool.ready_count))
    a, b = pool.replicas
    pool.set_ready(a, ready=False)
    pool.set_ready(a, ready=True)
    pool.set_ready(a, ready=True)
    pool.set_ready(b, ready=True)
    assert called == [1, 2]


def test_a_replica_that_hangs_is_picked_last() -> None:
    pool = ReplicaPool(("http://1", "http://2"))
    for replica in pool.replicas:
        replica.ready = True
    hung, other = pool.replicas
    hung.hung, other.in_flight = True, 5
    assert pool.pick() is other
    other.ready = False
    assert (pool.pick(), pool.responds) == (hung, False)
