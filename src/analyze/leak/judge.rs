//! From a window's features to the probability that it leaks: a small forest of boosted decision trees.
//!
//! Fitted once, on generated series only (`tests/support/leak_series.rs`), by `scripts/fit_leak_judge.py`, which writes
//! `judge_trees.txt`; nothing is learned at run time. Trees, because the evidence interacts: a slope means one thing after ten
//! cycles and another after half of one.
//!
//! The file: a line `features` with the names in order, then a tree a line, nodes in pre-order, each `feature:threshold:right` (right child so many nodes further) or, for a leaf, `=log-odds`.

use std::sync::LazyLock;

use super::features::NAMES;

/// The fitted trees. A constant: read once, never changed.
static FOREST: LazyLock<Forest> = LazyLock::new(|| Forest::parse(include_str!("judge_trees.txt")));

#[derive(Debug, Default)]
struct Forest {
    trees: Vec<Vec<Node>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    Split { feature: usize, threshold: f64, right: usize },
    Leaf(f64),
}

/// The probability, 0 to 1, that a window with these features leaks.
pub fn probability(features: &[f64; NAMES.len()]) -> f64 {
    let score: f64 = FOREST.trees.iter().map(|tree| contribution(tree, features)).sum();
    1.0 / (1.0 + (-score).exp())
}

fn contribution(tree: &[Node], features: &[f64]) -> f64 {
    let mut at = 0;
    loop {
        match tree.get(at) {
            None => return 0.0,
            Some(Node::Leaf(log_odds)) => return *log_odds,
            Some(Node::Split { feature, threshold, right }) => {
                at += if features.get(*feature).is_some_and(|x| x <= threshold) { 1 } else { *right };
            }
        }
    }
}

impl Forest {
    fn parse(text: &'static str) -> Forest {
        let mut forest = Forest::default();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            if !line.starts_with("features ") {
                forest.trees.push(line.split(' ').filter_map(Node::parse).collect());
            }
        }
        forest
    }
}

impl Node {
    fn parse(text: &str) -> Option<Node> {
        if let Some(leaf) = text.strip_prefix('=') {
            return leaf.parse().ok().map(Node::Leaf);
        }
        let mut parts = text.split(':');
        let (feature, threshold, right) = (parts.next()?, parts.next()?, parts.next()?);
        let (feature, right) = (feature.parse().ok()?, right.parse().ok()?);
        Some(Node::Split { feature, threshold: threshold.parse().ok()?, right })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_the_features_that_are_computed() {
        let names = include_str!("judge_trees.txt").lines().nth(1).expect("a second line");
        assert_eq!(names.split(' ').skip(1).collect::<Vec<_>>(), NAMES);
        assert!(FOREST.trees.len() > 10);
    }

    #[test]
    fn every_split_leads_on_within_its_tree_and_no_node_was_lost() {
        for (tree, line) in FOREST.trees.iter().zip(include_str!("judge_trees.txt").lines().skip(2)) {
            assert_eq!(tree.len(), line.split(' ').count());
            for (at, node) in tree.iter().enumerate() {
                if let Node::Split { feature, threshold, right } = node {
                    assert!(*feature < NAMES.len() && threshold.is_finite() && *right > 1 && at + right < tree.len());
                }
            }
        }
    }

    #[test]
    fn any_features_give_a_probability() {
        for x in [-1e6, -99.0, 0.0, 1.0, 1e6, f64::NAN] {
            let p = probability(&[x; NAMES.len()]);
            assert!((0.0..=1.0).contains(&p), "{x} {p}");
        }
    }
}
