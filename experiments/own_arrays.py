"""Own arrays, a few of them labelled: what PseudoLabelClassifier is given and what it gives back.

``python experiments/own_arrays.py`` takes half a minute on two cores. The arrays stand for anybody's: scikit-learn's
8 x 8 digits, of which the first hundred are labelled. ``--epochs=20`` is quicker, and less right.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

from pljax import PseudoLabelClassifier


def main() -> None:
    parser = argparse.ArgumentParser(description="Classify digits of which a hundred are labelled.")
    parser.add_argument("--epochs", type=int, help="default: what suits the data")
    epochs = parser.parse_args().epochs

    X, y = load_digits(return_X_y=True)
    few = np.where(np.arange(len(y)) < 100, y, -1)  # -1: the label is not known
    hidden = few == -1

    classifier = PseudoLabelClassifier(n_seeds=3, epochs=epochs, random_state=0).fit(X, few)
    sure = classifier.confidence_ > 0.9
    right = classifier.pseudo_labels_ == y[hidden]
    print(f"without unlabelled rows  {np.mean(classifier.supervised_.predict(X[hidden]) == y[hidden]):.1%}")
    print(f"with them                {right.mean():.1%}")
    print(f"where it is sure         {right[sure].mean():.1%} of {sure.sum()} rows")
    print(f"five more                {classifier.predict(X[-5:])}, in truth {y[-5:]}")


if __name__ == "__main__":
    main()
