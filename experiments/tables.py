"""Print the README's tables from the results that are kept beside this script.

``python experiments/tables.py``: a table a folder of ``experiments/results/``, made of the ``result.json`` of its
scenarios as ``python -m pljax.main`` left them.
"""

from pathlib import Path

from pljax import Result, accuracy_table

RESULTS = Path(__file__).parent / "results"
SCENARIOS = ("nn", "drop_nn", "pl", "pl_dae")


def main() -> None:
    for study in sorted(path for path in RESULTS.iterdir() if path.is_dir()):
        files = [study / f"{scenario}.json" for scenario in SCENARIOS]
        results = [Result.load(file) for file in files if file.exists()]
        if results:
            print(f"{study.name}\n{'=' * len(study.name)}\n{accuracy_table(results)}\n")


if __name__ == "__main__":
    main()
