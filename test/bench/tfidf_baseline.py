#!/usr/bin/env python3
"""The classic that a fine-tuned encoder has to beat: TF-IDF of words and characters, one logistic regression a label.

  python test/bench/tfidf_baseline.py --train train.jsonl --dev dev.jsonl [--labels labels.txt] [--json]

Rows are {"text", "labels": [names]}, one a line. Features, regularisation and class weights are chosen by
cross-validation on the training part, each fold with a vocabulary of its own. Thresholds come from the out-of-fold
scores of the training part (the honest way), and for comparison with models that tune on dev from dev itself (which
flatters). Needs scikit-learn: test/bench/requirements.txt.
"""
import argparse
import itertools
import json
import sys
import time

import numpy as np
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import KFold

VECTORIZERS = {
    "words": dict(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b|[!?]"),
    "characters": dict(analyzer="char_wb", ngram_range=(3, 5)),
}
FEATURES = {"words": ("words",), "characters": ("characters",), "both": ("words", "characters")}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="JSONL to train on")
    parser.add_argument("--dev", required=True, help="JSONL to measure on")
    parser.add_argument("--labels", help="names in their order, one a line (default: those of the training part)")
    parser.add_argument("--features", default="words,characters,both", help="sets to choose from")
    parser.add_argument("--c", default="0.3,1,3,10,30,100", help="inverse regularisation strengths to choose from")
    parser.add_argument("--weights", default="none,balanced", help="class weights to choose from")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser.parse_args()


def read_rows(path):
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    if any(not isinstance(row["labels"], list) for row in rows):
        sys.exit(f'{path}: "labels" has to be a list of names')
    return [row["text"] for row in rows], [set(row["labels"]) for row in rows]


def indicator(names, labels):
    return np.array([[label in row for label in labels] for row in names], dtype=np.int8)


def vectorize(texts, other_texts):
    """Matrices of both lists by feature set; vocabulary and document frequencies are those of the first alone."""
    parts = {}
    for name, options in VECTORIZERS.items():
        vectorizer = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode", min_df=2, dtype=np.float32, **options)
        parts[name] = vectorizer.fit_transform(texts), vectorizer.transform(other_texts)
    return {
        features: tuple(hstack([parts[name][side] for name in names], format="csr") for side in (0, 1))
        for features, names in FEATURES.items()
    }


def fit_and_score(train, targets, other, c, weight):
    """Probabilities of the other rows, a column for each label; the base rate where train has one class only."""
    scores = np.empty((other.shape[0], targets.shape[1]), dtype=np.float64)
    for column, target in enumerate(targets.T):
        if target.min() == target.max():
            scores[:, column] = target[0]
            continue
        # in its dual form, six times as fast on sparse rows as in its primal one
        model = LogisticRegression(
            C=c,
            class_weight="balanced" if weight == "balanced" else None,
            solver="liblinear",
            dual=True,
            max_iter=1000,
            random_state=0,
        )
        scores[:, column] = model.fit(train, target).predict_proba(other)[:, 1]
    return scores


def best_threshold(scores, targets):
    """The threshold with the highest F1 on these scores, half-way between two of them (Lipton et al. 2014)."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(targets[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + max(1, targets.sum()))
    f1[:-1][ranked[:-1] == ranked[1:]] = -1  # equal scores are decided alike
    best = int(np.argmax(f1))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2) if targets.any() else 0.5


def thresholds_for(scores, targets):
    return np.array([best_threshold(*columns) for columns in zip(scores.T, targets.T)])


def pooled_threshold(scores, targets):
    return np.full(targets.shape[1], best_threshold(scores.ravel(), targets.ravel()))


def figures(scores, targets, thresholds):
    decided = scores >= thresholds
    return {
        "macroF1": float(f1_score(targets, decided, average="macro", zero_division=0)),
        "microF1": float(f1_score(targets, decided, average="micro", zero_division=0)),
    }


def cross_validate(texts, targets, options):
    """Out-of-fold scores of every combination, and the table of what each reached, best first."""
    combinations = list(
        itertools.product(
            options.features.split(","), [float(c) for c in options.c.split(",")], options.weights.split(",")
        )
    )
    out_of_fold = {combination: np.empty(targets.shape) for combination in combinations}
    folds = KFold(options.folds, shuffle=True, random_state=options.seed).split(texts)
    for number, (inside, outside) in enumerate(folds, 1):
        matrices = vectorize([texts[row] for row in inside], [texts[row] for row in outside])
        for combination in combinations:
            features, c, weight = combination
            train, held_out = matrices[features]
            out_of_fold[combination][outside] = fit_and_score(train, targets[inside], held_out, c, weight)
            print(f"fold {number}/{options.folds} {features} C={c} {weight}", file=sys.stderr)
    table = [
        {
            "features": features,
            "c": c,
            "classWeight": weight,
            **figures(scores, targets, thresholds_for(scores, targets)),
        }
        for (features, c, weight), scores in out_of_fold.items()
    ]
    table.sort(key=lambda row: -row["macroF1"])
    best = table[0]
    return table, out_of_fold[best["features"], best["c"], best["classWeight"]]


def main():
    options = arguments()
    started = time.perf_counter()
    texts, names = read_rows(options.train)
    dev_texts, dev_names = read_rows(options.dev)
    if options.labels:
        with open(options.labels, encoding="utf-8") as lines:
            labels = [line.strip() for line in lines if line.strip()]
    else:
        labels = sorted(set().union(*names))
    targets, dev_targets = indicator(names, labels), indicator(dev_names, labels)

    table, out_of_fold = cross_validate(texts, targets, options)
    chosen = table[0]
    train, dev = vectorize(texts, dev_texts)[chosen["features"]]
    scores = fit_and_score(train, targets, dev, chosen["c"], chosen["classWeight"])
    seen = dev_targets.any(axis=0)
    report = {
        "rows": {"train": len(texts), "dev": len(dev_texts)},
        "labels": labels,
        "chosen": {key: chosen[key] for key in ("features", "c", "classWeight")},
        "featureCount": int(train.shape[1]),
        "crossValidation": table,
        "dev": {
            "at0.5": figures(scores, dev_targets, np.full(len(labels), 0.5)),
            "tunedOnTrain": figures(scores, dev_targets, thresholds_for(out_of_fold, targets)),
            "pooledOnTrain": figures(scores, dev_targets, pooled_threshold(out_of_fold, targets)),
            "tunedOnDev": figures(scores, dev_targets, thresholds_for(scores, dev_targets)),
            "meanAveragePrecision": float(average_precision_score(dev_targets[:, seen], scores[:, seen])),
        },
        "seconds": time.perf_counter() - started,
    }
    print(json.dumps(report) if options.json else table_of(report))


def table_of(report):
    chosen, dev = report["chosen"], report["dev"]
    names = {
        "at0.5": "at 0.5",
        "tunedOnTrain": "a threshold a label, from out-of-fold scores of train",
        "pooledOnTrain": "one threshold, from out-of-fold scores of train",
        "tunedOnDev": "a threshold a label, from dev itself",
    }
    return "\n".join(
        [
            f'chosen by cross-validation: {chosen["features"]} ({report["featureCount"]} features), '
            f'C {chosen["c"]:g}, class weights {chosen["classWeight"]}',
            f'{"thresholds on dev":<56}  macro-F1  micro-F1',
            *(f'{name:<56}  {dev[key]["macroF1"]:8.3f}  {dev[key]["microF1"]:8.3f}' for key, name in names.items()),
            f'mean average precision {dev["meanAveragePrecision"]:.3f}; {report["seconds"]:.0f} s',
        ]
    )


if __name__ == "__main__":
    main()
