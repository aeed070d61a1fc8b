"""`rack-sim sweep` on a Dask and a Ray cluster: the bytes of one process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rack_sim

Cli = Callable[..., tuple[int, str, str]]

STUDY = """kind: grid
name: tiny
scenario: small.yaml
overrides: {model.num_hidden_layers: 1, partition.tensor_parallel: 8, partition.stages: 1}
grid:
  serving.concurrent_sequences: [1, 4, 2000]
  workload.arrivals.rate_rps: [20, 40]
collect: [tpot_ms_p50]
"""
FILES = ("results.csv", "resolved.yaml")


@pytest.fixture
def whole(cli: Cli, small: Path) -> Path:
    """What one process writes."""
    small.with_name("tiny.yaml").write_text(STUDY, encoding="utf-8")
    assert cli("sweep", "tiny.yaml", "--out", "whole", "--no-figures", "-q")[0] == 0
    return Path("whole")


@pytest.fixture
def dask_address(tmp_path: Path) -> Iterator[str]:
    """A scheduler and two workers, processes of their own, that speak TCP."""
    distributed = pytest.importorskip("distributed")
    root = str(Path(rack_sim.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    place = tmp_path / "scheduler.json"
    shared = ("--scheduler-file", str(place), "--no-dashboard")
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker"]
    here = ("--host", "127.0.0.1")
    processes = [subprocess.Popen([*dask, *shared, *here, "--port", "0"], **quiet)]  # type: ignore[call-overload]
    try:
        for _ in range(2):
            options = (*here, "--nthreads", "1", "--no-nanny")
            processes.append(subprocess.Popen([*worker, *shared, *options], **quiet))  # type: ignore[call-overload]
        with distributed.Client(scheduler_file=str(place), timeout=30) as client:
            client.wait_for_workers(2, timeout=60)
            address = str(client.scheduler.address)
        yield address
    finally:
        # A worker that has lost its scheduler looks for it before it ends; nothing is to keep here.
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


@pytest.mark.slow
def test_a_dask_cluster_over_tcp(cli: Cli, whole: Path, dask_address: str) -> None:
    assert dask_address.startswith("tcp://127.0.0.1:")
    options = ("--backend", "dask", "--scheduler", dask_address, "--no-figures")
    for out, jobs in (("a", ()), ("b", ("--jobs", 1))):
        code, _, err = cli("sweep", "tiny.yaml", *options, *jobs, "--out", out, "-q")
        assert (code, err) == (0, "")
        for name in FILES:
            assert Path(out, name).read_bytes() == (whole / name).read_bytes()
    assert not Path("a.points.jsonl").exists()


@pytest.mark.slow
def test_a_scheduler_without_workers(
    cli: Cli, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    small.with_name("tiny.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.setattr("rack_sim.foundation.executor.SCHEDULER_SECONDS", 2)
    with distributed.LocalCluster(
        n_workers=0, host="127.0.0.1", dashboard_address=None, processes=False, protocol="tcp"
    ) as cluster:
        address = cluster.scheduler_address
        code, out, err = cli("sweep", "tiny.yaml", "--backend", "dask", "--scheduler", address)
    assert (code, out) == (2, "")
    assert "has no workers (start some: dask worker tcp://127.0.0.1:" in err
    assert not Path("reports").exists()


@pytest.mark.slow
def test_a_dask_cluster_of_this_machine(cli: Cli, whole: Path) -> None:
    pytest.importorskip("distributed")
    options = ("--backend", "dask", "--jobs", 2, "--no-figures", "--out", "a", "-q")
    assert cli("sweep", "tiny.yaml", *options) == (0, "", "")
    for name in FILES:
        assert Path("a", name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
# Ray leaves files and processes of its own to the collector of garbage, which tells of them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ray(cli: Cli, whole: Path) -> None:
    pytest.importorskip("ray")
    options = ("--backend", "ray", "--jobs", 2, "--no-figures", "--out", "a", "-q")
    assert cli("sweep", "tiny.yaml", *options)[0] == 0
    for name in FILES:
        assert Path("a", name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ray_cluster_at_an_address(
    cli: Cli, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that goes on afterwards, with nothing of the sweep in it."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns
    ray = pytest.importorskip("ray")
    with ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False):
        address = ray.get_runtime_context().gcs_address
        options = ("--backend", "ray", "--scheduler", address, "--no-figures", "--out", "a", "-q")
        assert cli("sweep", "tiny.yaml", *options)[0] == 0
        assert ray.is_initialized()
    for name in FILES:
        assert Path("a", name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_nobody_at_the_address(cli: Cli, small: Path, backend: str) -> None:
    pytest.importorskip("distributed" if backend == "dask" else backend)
    small.with_name("tiny.yaml").write_text(STUDY, encoding="utf-8")
    code, out, err = cli("sweep", "tiny.yaml", "--backend", backend, "--scheduler", "127.0.0.1:1")
    assert (code, out) == (2, "")
    assert "--scheduler 127.0.0.1:1: does not answer" in err
    assert not Path("reports").exists()
