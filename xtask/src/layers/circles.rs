//! Circles: the strongly connected components of a graph, by Tarjan's algorithm.

use std::collections::{BTreeMap, BTreeSet};

/// Each component of more than one node, its nodes in order, the largest first.
pub(super) fn circles<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let mut search = Search { arrows, seen: BTreeMap::new(), open: Vec::new(), circles: Vec::new() };
    for node in arrows.keys() {
        if !search.seen.contains_key(node) {
            search.visit(node);
        }
    }
    let mut circles = search.circles;
    circles.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    circles
}

struct Search<'a, 'g> {
    arrows: &'g BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// When each node was met; `usize::MAX` once its component is complete.
    seen: BTreeMap<&'a str, usize>,
    open: Vec<&'a str>,
    circles: Vec<Vec<&'a str>>,
}

impl<'a> Search<'a, '_> {
    /// Answers when the earliest open node that `node` leads to was met.
    fn visit(&mut self, node: &'a str) -> usize {
        let (met, height) = (self.seen.len(), self.open.len());
        self.seen.insert(node, met);
        self.open.push(node);
        let mut earliest = met;
        for next in self.arrows.get(node).into_iter().flatten() {
            let reached = match self.seen.get(next) {
                Some(&met) => met,
                None => self.visit(next),
            };
            earliest = earliest.min(reached);
        }
        if earliest < met {
            return earliest;
        }
        let mut component = self.open.split_off(height);
        for node in &component {
            self.seen.insert(node, usize::MAX);
        }
        if component.len() > 1 {
            component.sort_unstable();
            self.circles.push(component);
        }
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arrows: &[(&'static str, &'static str)]) -> Vec<Vec<&'static str>> {
        let mut graph = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (from, to) in arrows {
            graph.entry(from).or_default().insert(to);
        }
        circles(&graph)
    }

    #[test]
    fn what_leads_back_is_a_circle() {
        assert_eq!(found(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]), [["a", "b", "c"]]);
        let two = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "c"), ("a", "e")];
        assert_eq!(found(&two), [vec!["c", "d", "e"], vec!["a", "b"]]);
    }

    #[test]
    fn what_leads_twice_to_the_same_is_none() {
        assert!(found(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("b", "c")]).is_empty());
    }
}
