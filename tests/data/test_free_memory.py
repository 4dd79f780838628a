"""The free memory is the least of what the machine has and what the limits of cgroups leave."""

import psutil
import pytest

from pljax.data.free_memory import free_memory

MIB = 2**20
UNLIMITED = 9223372036854771712  # how version 1 says that there is no limit


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine with 1000 MiB of free memory."""
    available = psutil.virtual_memory()._replace(available=1000 * MIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def second(folder, most, used, inactive=0):
    write(folder, memory__max=most, memory__current=used, memory__stat=f"anon 5\ninactive_file {inactive}\nfile 7")


def first(folder, most, used, inactive=0):
    stat = f"inactive_file 1\ntotal_inactive_file {inactive}"
    write(folder, memory__limit_in_bytes=most, memory__usage_in_bytes=used, memory__stat=stat)


@pytest.fixture
def free(tmp_path):
    """The free memory in MiB for a file of memberships."""

    def of(membership):
        (tmp_path / "membership").write_text(membership)
        return free_memory(tmp_path / "cgroup", tmp_path / "membership") / MIB

    return of


def test_without_cgroups_it_is_that_of_the_machine(tmp_path, free):
    assert free_memory(tmp_path / "none", tmp_path / "nothing") == 1000 * MIB
    assert free("") == 1000
    assert free("0::/\n") == 1000
    assert free("no cgroups\n\n::\n") == 1000


def test_a_limit_of_version_2_leaves_what_is_not_used_and_the_old_pages_of_files(tmp_path, free):
    second(tmp_path / "cgroup", 600 * MIB, 250 * MIB)
    assert free("0::/\n") == 350
    second(tmp_path / "cgroup", 600 * MIB, 250 * MIB, inactive=50 * MIB)
    assert free("0::/\n") == 400
    second(tmp_path / "cgroup", "max", 250 * MIB)
    assert free("0::/\n") == 1000
    second(tmp_path / "cgroup", 5000 * MIB, 250 * MIB)
    assert free("0::/\n") == 1000


def test_the_tightest_of_the_limits_above_a_cgroup_counts(tmp_path, free):
    for most, expected in ((800, 700), (300, 200)):
        second(tmp_path / "cgroup" / "job", most * MIB, 100 * MIB)
        second(tmp_path / "cgroup" / "job" / "step" / "task", 900 * MIB, 50 * MIB)
        assert free("0::/job/step/task\n") == expected
    second(tmp_path / "cgroup" / "other", 1, 1)  # of other processes
    assert free("0::/job/step/task\n") == 200


def test_in_a_container_the_path_of_the_host_is_not_there_but_the_limit_is(tmp_path, free):
    second(tmp_path / "cgroup", 600 * MIB, 250 * MIB)
    for path in ("/docker/0123abcd", "/../outside", "/"):
        assert free(f"0::{path}\n") == 350
    first(tmp_path / "cgroup" / "memory", 300 * MIB, 100 * MIB)
    assert free("4:memory:/docker/0123abcd\n") == 200


def test_a_limit_of_version_1_counts_beside_other_controllers(tmp_path, free):
    first(tmp_path / "cgroup" / "memory" / "job", 400 * MIB, 250 * MIB, inactive=25 * MIB)
    first(tmp_path / "cgroup" / "memory", UNLIMITED, 900 * MIB)
    assert free("9:name=systemd:/\n5:cpu,memory:/job\n0::/\n") == 175
    first(tmp_path / "cgroup" / "memory" / "job", UNLIMITED, 250 * MIB)
    assert free("4:memory:/job\n") == 1000


def test_more_than_the_limit_leaves_nothing(tmp_path, free):
    second(tmp_path / "cgroup", 100 * MIB, 150 * MIB)
    assert free("0::/\n") == 0
    second(tmp_path / "cgroup", 100 * MIB, 10 * MIB, inactive=50 * MIB)
    assert free("0::/\n") == 100


def test_files_that_cannot_be_understood_set_no_limit(tmp_path, free):
    for most, used in (("", ""), ("lots", 3), (100, "-3"), (100, "")):
        second(tmp_path / "cgroup", most, used)
        assert free("0::/\n") == 1000
    write(tmp_path / "cgroup", memory__max=100 * MIB, memory__current=MIB, memory__stat="inactive_file many\n\nx")
    assert free("0::/\n") == 99
