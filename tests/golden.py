"""Short runs of the report's scenarios under every protocol that has them, and what they gave before.

``python -m tests.golden`` writes ``golden.json`` anew. That is right only where the random draws of a run change, or
what it computes, and on purpose: the commit says which and why. To reorder arithmetic is no reason.
"""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import flax.traverse_util
import numpy as np

from pljax import Dataset, Reporter, RunFolder, run
from pljax.protocols.select import LEE_SCENARIOS, select_for

FILE = Path(__file__).with_name("golden.json")
WHEN = (
    "These figures may change only where the random draws of a run, or what it computes, change on purpose. "
    "python -m tests.golden writes them anew."
)
SEEDS = (0, 3)
SETTINGS: dict[str, Any] = {"labels": 24, "hidden": (16,), "epochs": 30, "batch_size": 10}
UNLABELLED: dict[str, Any] = {"t1": 10, "t2": 20, "unlabelled_batch_size": 12}
PRETRAIN: dict[str, Any] = {"pretrain_epochs": 1, "pretrain_batch_size": 12, "pretrain_learning_rate": 2e-5}
OF_SCENARIO = {"nn": {}, "drop_nn": {}, "pl": UNLABELLED, "pl_dae": UNLABELLED | PRETRAIN}
LEE = {"validation": 20, "learning_rate": 1.0, "hidden": (100,), "epochs": 40}
OF_PROTOCOL = {
    "quick": LEE,
    "lee2013": LEE,
    "arab2022": {},
    "adaptive": {"validation": 20},
}
SURE = {"threshold": 0.35}  # under `adaptive`: low enough for some images to get a label
CASES = [(protocol, scenario) for protocol in OF_PROTOCOL for scenario in LEE_SCENARIOS]


def images() -> Dataset:
    """240 images of four noisy patterns; a third of the pixels is dark in all of them."""
    generator = np.random.default_rng(5)
    patterns = 120 * generator.integers(0, 2, (4, 18)) * (np.arange(18) % 3 > 0)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = (np.arange(count) % 4).astype(np.int32)
        noise = generator.integers(0, 56, (count, 18)) * (np.arange(18) % 3 > 0)
        return (patterns[labels] + noise).astype(np.uint8), labels

    return Dataset("patterns", 4, *draw(240), *draw(60))


def settings(protocol: str, scenario: str) -> dict[str, Any]:
    sure = SURE if protocol == "adaptive" and OF_SCENARIO[scenario] else {}
    return SETTINGS | OF_SCENARIO[scenario] | OF_PROTOCOL[protocol] | sure


def measure(protocol: str, scenario: str) -> dict[str, Any]:
    """The metrics of every fifth epoch of every seed, and two numbers for each array of the final parameters."""
    dataset = images()
    (config,) = select_for(dataset, protocol, [scenario], settings(protocol, scenario))
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(place)
        run(config, SEEDS, dataset, folder, Reporter(io.StringIO()))
        metrics, params = folder.load_metrics(), folder.load_parameters()
    metrics = [line for line in metrics if line["epoch"] % 5 == 0]
    leaves = flax.traverse_util.flatten_dict(params, sep="/")
    return {
        "metrics": [
            {name: _rounded(value) for name, value in line.items()} for line in metrics if line["epoch"] % 5 == 0
        ],
        "parameters": {name: [digest(leaf) for leaf in leaves[name]] for name in sorted(leaves)},
    }


def digest(leaf: np.ndarray) -> list[float]:
    """The root mean square of an array, and its mean product with a wave, in which every place has its own weight."""
    flat = leaf.ravel().astype(np.float64)
    return [_rounded(np.sqrt(np.mean(flat**2))), _rounded(np.mean(flat * np.cos(np.arange(flat.size))))]


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def write() -> None:
    cases = []
    for protocol, scenario in CASES:
        config = {"protocol": protocol, "scenario": scenario, "settings": settings(protocol, scenario)}
        cases.append({"config": config, "seeds": SEEDS, **measure(protocol, scenario)})
        print(protocol, scenario)
    lines = ",\n".join(json.dumps(case) for case in cases)
    FILE.write_text(f'{{"when it may change": {json.dumps(WHEN)},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    write()
