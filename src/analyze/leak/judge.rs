//! From a window's features to the probability that it leaks: a small forest of boosted decision trees.
//!
//! Fitted once, on generated series only (`tests/support/leak_series.rs`), by `scripts/fit_leak_judge.py`, which writes
//! `judge_trees.txt`; nothing is learned at run time. Trees, because the evidence interacts: a slope means one thing after ten
//! cycles and another after half of one.
//!
//! The file: a line `features` with the names in order, a line `calibration` with the scale and shift that make the trees' sum
//! log-odds (Platt's scaling; boosting with shrinkage doubts too much), then a tree a line, nodes in pre-order, each `feature:threshold:right` (right child so many nodes further) or, for a leaf, `=log-odds`.

use std::sync::LazyLock;

use super::features::NAMES;

/// The fitted trees. A constant: read once, never changed.
static FOREST: LazyLock<Forest> = LazyLock::new(|| Forest::parse(include_str!("judge_trees.txt")));

#[derive(Debug, Default)]
struct Forest {
    scale: f64,
    shift: f64,
    trees: Vec<Vec<Node>>,
}

/// Small, since a look walks through all trees: they should stay in the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    Split { feature: u16, right: u16, threshold: f32 },
    Leaf(f32),
}

/// The probability, 0 to 1, that a window with these features leaks.
pub fn probability(features: &[f64; NAMES.len()]) -> f64 {
    let sum: f64 = FOREST.trees.iter().map(|tree| contribution(tree, features)).sum();
    1.0 / (1.0 + (-(FOREST.scale * sum + FOREST.shift)).exp())
}

fn contribution(tree: &[Node], features: &[f64]) -> f64 {
    let mut at = 0;
    loop {
        match tree.get(at) {
            None => return 0.0,
            Some(Node::Leaf(log_odds)) => return f64::from(*log_odds),
            Some(Node::Split { feature, right, threshold }) => {
                let left = features.get(usize::from(*feature)).is_some_and(|x| *x <= f64::from(*threshold));
                at += if left { 1 } else { usize::from(*right) };
            }
        }
    }
}

impl Forest {
    fn parse(text: &'static str) -> Forest {
        let mut forest = Forest::default();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            match line.split_once(' ') {
                Some(("features", _)) => {}
                Some(("calibration", numbers)) => forest.calibrate(numbers),
                _ => forest.trees.push(line.split(' ').filter_map(Node::parse).collect()),
            }
        }
        forest
    }

    fn calibrate(&mut self, numbers: &str) {
        let mut numbers = numbers.split(' ').map_while(|x| x.parse().ok());
        (self.scale, self.shift) = (numbers.next().unwrap_or(1.0), numbers.next().unwrap_or(0.0));
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
        Some(Node::Split { feature, right, threshold: threshold.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_the_features_that_are_computed() {
        let names = include_str!("judge_trees.txt").lines().nth(1).expect("a second line");
        assert_eq!(names.split(' ').skip(1).collect::<Vec<_>>(), NAMES);
        assert!(FOREST.trees.len() > 10 && FOREST.scale > 0.0 && FOREST.shift.is_finite());
    }

    #[test]
    fn every_split_leads_on_within_its_tree_and_no_node_was_lost() {
        for (tree, line) in FOREST.trees.iter().zip(include_str!("judge_trees.txt").lines().skip(3)) {
            assert_eq!(tree.len(), line.split(' ').count());
            for (at, node) in tree.iter().enumerate() {
                if let Node::Split { feature, right, threshold } = *node {
                    let (feature, right) = (usize::from(feature), usize::from(right));
                    assert!(feature < NAMES.len() && threshold.is_finite() && right > 1 && at + right < tree.len());
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
