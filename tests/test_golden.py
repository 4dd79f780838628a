"""Runs give what they gave before: the same draws, and the same arithmetic up to rounding."""

import json

import golden
import numpy as np
import pytest

WRITTEN = json.loads(golden.FILE.read_text())["cases"]
CASES = {(case["config"]["protocol"], case["config"]["scenario"]): case for case in WRITTEN}
TOLERANCE = 1e-4


def test_every_protocol_and_scenario_is_there():
    assert list(CASES) == golden.CASES


@pytest.mark.parametrize(
    ("protocol", "scenario"),
    [
        pytest.param(*case, marks=[pytest.mark.slow] * (case in (("arab2022", "pl"), ("arab2022", "pl_dae"))))
        for case in golden.CASES
    ],
)
def test_a_run_gives_what_it_gave_before(protocol, scenario):
    written, now = CASES[protocol, scenario], golden.measure(protocol, scenario)
    assert json.loads(json.dumps(golden.settings(protocol, scenario))) == written["config"]["settings"]
    assert len(now["metrics"]) == len(written["metrics"])
    for line, before in zip(now["metrics"], written["metrics"], strict=True):
        for name, value in before.items():
            if isinstance(value, float):
                assert line[name] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), (name, before)
            else:
                assert line[name] == value, (name, before)
    assert now["parameters"].keys() == written["parameters"].keys()
    for name, digests in written["parameters"].items():
        np.testing.assert_allclose(now["parameters"][name], digests, rtol=10 * TOLERANCE, atol=TOLERANCE, err_msg=name)
