import jax
import pytest

from pljax.training import devices
from pljax.types import InputError


def test_a_backend_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match="There is no tpu here, JAX finds cpu"):
        devices.select_backend("tpu")
    with pytest.raises(InputError, match="no backend 'abacus': choose one of cpu, gpu, tpu"):
        devices.select_backend("abacus")


def test_the_device_is_described():
    device = devices.device()
    assert device["platform"] == "cpu"
    assert device["count"] == 2
    assert device["cores"] >= 1


def test_a_precision_is_chosen_and_another_refused():
    with pytest.raises(
        InputError, match="no matmul_precision 'float8': choose one of bfloat16, tensorfloat32, float32"
    ):
        devices.set_matmul_precision("float8")
    assert devices.device()["matmul_precision"] is None
    try:
        devices.set_matmul_precision("float32")
        assert devices.device()["matmul_precision"] == "float32"
    finally:
        jax.config.update("jax_default_matmul_precision", None)


@pytest.fixture
def no_cache():
    names = (
        "jax_enable_compilation_cache",
        "jax_compilation_cache_dir",
        "jax_compilation_cache_max_size",
        "jax_persistent_cache_min_compile_time_secs",
    )
    before = {name: jax.config.values[name] for name in names}
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_compiled_programs_are_cached_unless_jax_has_a_cache_folder_already(no_cache, tmp_path):
    devices.enable_compilation_cache(tmp_path / "ours")
    assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "ours")
    devices.enable_compilation_cache(tmp_path / "other")
    assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "ours")


def test_where_no_folder_can_be_made_there_is_no_cache(no_cache, tmp_path):
    (tmp_path / "file").write_text("")
    devices.enable_compilation_cache(tmp_path / "file" / "below")
    assert jax.config.values["jax_compilation_cache_dir"] is None
