import pytest

from sizeup_gateway.cluster.api import ClusterError, JobEnd, Rollout
from sizeup_gateway.cluster.rollouts import DOWNLOAD, job_end, rollout


@pytest.mark.parametrize(
    ("annotations", "jobs"),
    [
        ({DOWNLOAD: "a"}, ("a",)),
        ({DOWNLOAD: "a,b"}, ("a", "b")),
        ({"other": "x"}, ()),
        (None, ()),
    ],
)
def test_a_rollout_awaits_the_jobs_of_its_annotation(
    annotations: dict[str, str] | None, jobs: tuple[str, ...]
) -> None:
    item = {"metadata": {"annotations": annotations, "resourceVersion": "7"}, "spec": {}}
    assert rollout(item) == Rollout(jobs, "7")


def test_a_rollout_that_has_a_revision_has_an_earlier_template() -> None:
    annotations = {DOWNLOAD: "a", "deployment.kubernetes.io/revision": "1"}
    item = {"metadata": {"annotations": annotations, "resourceVersion": "7"}}
    assert rollout(item) == Rollout(("a",), "7", has_earlier=True)


def test_a_rollout_that_an_operator_has_paused_awaits_nothing() -> None:
    item = {"metadata": {"resourceVersion": "7"}, "spec": {"paused": True}}
    assert rollout(item).awaited_jobs == ()


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ({"conditions": [{"type": "Complete", "status": "True"}]}, JobEnd(complete=True)),
        (
            {"conditions": [{"type": "Failed", "status": "True", "reason": "R", "message": "m"}]},
            JobEnd(complete=False, reason="R: m"),
        ),
        ({"conditions": [{"type": "Failed", "status": "False"}]}, None),
        ({"conditions": [{"type": "Suspended", "status": "True"}], "active": 0}, None),
        ({"active": 1}, None),
        (None, None),
    ],
)
def test_end_of_a_job(status: dict[str, object] | None, end: JobEnd | None) -> None:
    assert job_end({"status": status}) == end


def test_malformed_objects_are_errors() -> None:
    with pytest.raises(ClusterError):
        rollout({"metadata": {}})
    with pytest.raises(ClusterError):
        job_end({"status": {"conditions": "none"}})
