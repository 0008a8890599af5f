#!/usr/bin/env python3
"""Fits the leak judge on generated series and writes src/analyze/leak/judge_trees.txt.

    pip install lightgbm numpy pandas
    cargo build --release --example leak_training_rows
    target/release/examples/leak_training_rows 1000 18000 5 > fit.csv
    target/release/examples/leak_training_rows 100000 3000 1000000 > check.csv
    scripts/fit_leak_judge.py fit.csv check.csv src/analyze/leak/judge_trees.txt

Boosted trees on all looks of the first file, each series weighing with the root of its looks. The last looks of the second
file, whose series the trees have not seen, give scale and shift of the log-odds (Platt), since boosting with shrinkage errs
towards doubt; every other series of it gives them, the rest the log-loss and the calibration table that are printed.
"""
import sys

import lightgbm
import numpy as np
import pandas as pd

SETTINGS = dict(objective="binary", num_leaves=16, learning_rate=0.06, min_data_in_leaf=80, feature_fraction=0.6,
                bagging_fraction=0.7, bagging_freq=1, lambda_l2=5, verbose=-1, num_threads=1, seed=1)
TREES = 600
FEATURES_FROM = 5


def main(fit_file, check_file, out_file):
    fit, check = pd.read_csv(fit_file), pd.read_csv(check_file)
    names = list(fit.columns[FEATURES_FROM:])
    weight = fit.weight / np.sqrt(fit.groupby("series").weight.transform("size"))
    model = lightgbm.train(SETTINGS, lightgbm.Dataset(fit[names].to_numpy(), fit.leaks, weight=weight), TREES)
    raw = model.predict(check[names].to_numpy(), raw_score=True)
    chosen = (check["last"] == 1) & (check.series % 2 == 0)
    scale, shift = calibration(raw[chosen], check.leaks[chosen].to_numpy())
    print("scale %.3f, shift %.3f" % (scale, shift))
    rest = check.series % 2 == 1
    report(1 / (1 + np.exp(-(scale * raw[rest] + shift))), check[rest])
    write(model, names, scale, shift, out_file)


def calibration(raw, y):
    """Scale and shift by Newton's method on the logistic loss."""
    x, at = np.stack([raw, np.ones(len(raw))]), np.array([1.0, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-at @ x))
        at = at - np.linalg.solve((x * (p * (1 - p))) @ x.T, x @ (p - y))
    return at


def report(p, check):
    y, last = check.leaks.to_numpy(), (check["last"] == 1).to_numpy()
    right = np.where(y == 1, p, 1 - p).clip(1e-6)
    print("log-loss of all looks %.4f, of last looks %.4f" % (-np.log(right).mean(), -np.log(right[last]).mean()))
    for low in np.arange(0, 1, 0.1):
        k = last & (p >= low) & (p < low + 0.1)
        if k.any():
            print("said %.1f to %.1f: right %.2f of %d" % (low, low + 0.1, y[k].mean(), k.sum()))


def write(model, names, scale, shift, out_file):
    with open(out_file, "w") as f:
        f.write("# Written by scripts/fit_leak_judge.py; do not edit.\n")
        f.write("features %s\n" % " ".join(names))
        f.write("calibration %.3f %.3f\n" % (scale, shift))
        for tree in model.dump_model()["tree_info"]:
            nodes = []
            walk(tree["tree_structure"], nodes)
            f.write(" ".join(nodes) + "\n")


def walk(node, out):
    """Appends the nodes in pre-order; returns how many."""
    if "leaf_value" in node:
        out.append("=%.4g" % node["leaf_value"])
        return 1
    at = len(out)
    out.append("")
    left, right = walk(node["left_child"], out), walk(node["right_child"], out)
    out[at] = "%d:%.5g:%d" % (node["split_feature"], node["threshold"], left + 1)
    return 1 + left + right


if __name__ == "__main__":
    main(*sys.argv[1:])
