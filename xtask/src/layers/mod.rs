//! Layers: a module uses those below it, and files go in no circles but small ones of one module.

mod circles;
mod order;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use crate::{Result, place};
use order::ORDERS;
use tree::{Arrow, Tree};

/// Prints what is wrong with the layers of each crate that has them, or of those named; `--uses`: and what each module uses.
pub(crate) fn run(words: &[&str]) -> Result<ExitCode> {
    let (uses, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| **word == "--uses");
    if let Some(unknown) = names.iter().find(|name| ORDERS.iter().all(|order| order.package != **name)) {
        let known = ORDERS.map(|order| order.package).join(" ");
        return Err(format!("unknown crate `{}`: one of {known}", unknown.escape_debug()).into());
    }
    let mut code = ExitCode::SUCCESS;
    for order in ORDERS.iter().filter(|order| names.is_empty() || names.contains(&order.package)) {
        let tree = Tree::read(&place::root().join(order.package).join("src"))?;
        if !uses.is_empty() {
            print!("{}", uses_told(&tree));
        }
        let findings = Findings::of(&tree, order.rows);
        print!("{}", findings.told(order.package));
        if !findings.is_empty() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Whether the layers of all crates that have them are in order; else what is not.
pub(crate) fn check() -> Result<()> {
    let mut told = String::new();
    for order in &ORDERS {
        let findings = Findings::of(&Tree::read(&place::root().join(order.package).join("src"))?, order.rows);
        if !findings.is_empty() {
            told += &findings.told(order.package);
        }
    }
    if told.is_empty() { Ok(()) } else { Err(told.into()) }
}

/// A line for each module.
fn uses_told(tree: &Tree) -> String {
    let mut uses: BTreeMap<&str, BTreeSet<String>> = tree.tops().map(|top| (top, BTreeSet::new())).collect();
    for Arrow { user, used, .. } in tree.arrows() {
        if let Some(uses) = user.and_then(|user| uses.get_mut(user.as_str())) {
            uses.extend(used);
        }
    }
    let line = |(module, uses): (&str, BTreeSet<String>)| {
        format!("{module}: {}\n", uses.into_iter().collect::<Vec<_>>().join(" "))
    };
    uses.into_iter().map(line).collect()
}

/// What a tree has against its order.
struct Findings {
    /// Modules that the order does not name.
    without_place: Vec<String>,
    /// Modules that it names and that are not there.
    missing: Vec<String>,
    upward: Vec<Arrow>,
    circles: Vec<Circle>,
}

/// Files each of which needs all others.
struct Circle {
    files: Vec<String>,
    arrows: Vec<Arrow>,
    /// Whether it is small, and within a module.
    is_allowed: bool,
}

impl Findings {
    fn of(tree: &Tree, rows: &[&[&str]]) -> Findings {
        let row_of = |module: &str| rows.iter().position(|row| row.contains(&module));
        let tops: BTreeSet<&str> = tree.tops().collect();
        let named = rows.iter().flat_map(|row| row.iter());
        let arrows = tree.arrows();
        let is_upward = |arrow: &&Arrow| {
            let Some(user) = &arrow.user else { return false };
            let is_above = |used: &String| match (row_of(user), row_of(used)) {
                (Some(own), Some(row)) => row >= own,
                _ => false, // said of the module, once
            };
            (arrow.to == ROOT && arrow.item.is_some()) || arrow.used.iter().any(is_above)
        };
        Findings {
            without_place: tops
                .iter()
                .filter(|top| row_of(top).is_none())
                .map(|top| (*top).to_owned())
                .collect(),
            missing: named.filter(|name| !tops.contains(*name)).map(|name| (*name).to_owned()).collect(),
            upward: arrows.iter().filter(is_upward).cloned().collect(),
            circles: circles_of(tree, &arrows),
        }
    }

    fn is_empty(&self) -> bool {
        self.without_place.is_empty()
            && self.missing.is_empty()
            && self.upward.is_empty()
            && self.circles.iter().all(|circle| circle.is_allowed)
    }

    fn told(&self, package: &str) -> String {
        let mut text = String::new();
        for module in &self.without_place {
            text += &format!("{package}: `{module}` has no place in the order (xtask/src/layers/order.rs)\n");
        }
        for module in &self.missing {
            text += &format!("{package}: `{module}` has a place in the order, but there is no such module\n");
        }
        for Arrow { from, line, path, user, used, .. } in &self.upward {
            let user = user.as_deref().unwrap_or_default();
            let used: Vec<&str> = used.iter().map(String::as_str).collect();
            let used =
                if used.is_empty() { "the root".to_owned() } else { format!("`{}`", used.join("`, `")) };
            text += &format!("{package}/src/{from}:{line}: `{user}` may not use {used}: {path}\n");
        }
        for circle in &self.circles {
            text += &circle.told(package);
        }
        let refused = self.circles.iter().filter(|circle| !circle.is_allowed).count();
        text + &format!(
            "{package}: {} modules out of order, {} upward uses, {} circles of files, {refused} of them refused\n",
            self.without_place.len() + self.missing.len(),
            self.upward.len(),
            self.circles.len(),
        )
    }
}

const ROOT: &str = "lib.rs";

/// The circles, and which of them may stay.
fn circles_of(tree: &Tree, arrows: &[Arrow]) -> Vec<Circle> {
    let mut graph = BTreeMap::<&str, BTreeSet<&str>>::new();
    for arrow in arrows.iter().filter(|arrow| arrow.binds) {
        graph.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let top_of = tree.top_of_files();
    let circle = |files: Vec<&str>| {
        let tops: BTreeSet<Option<&str>> = files.iter().map(|file| top_of[file]).collect();
        let within = |arrow: &&Arrow| {
            arrow.binds && files.contains(&arrow.from.as_str()) && files.contains(&arrow.to.as_str())
        };
        Circle {
            is_allowed: files.len() <= LARGEST_CIRCLE && tops.len() == 1,
            arrows: arrows.iter().filter(within).cloned().collect(),
            files: files.into_iter().map(str::to_owned).collect(),
        }
    };
    circles::circles(&graph).into_iter().map(circle).collect()
}

/// Two or three files that belong together can be read together.
const LARGEST_CIRCLE: usize = 3;

impl Circle {
    fn told(&self, package: &str) -> String {
        let word = if self.is_allowed { "allowed" } else { "refused" };
        let mut text = format!("{package}: a circle of {} files ({word}):\n", self.files.len());
        for file in &self.files {
            let mut uses = BTreeMap::<&str, BTreeSet<&str>>::new();
            for arrow in self.arrows.iter().filter(|arrow| arrow.from == *file) {
                uses.entry(&arrow.to).or_default().extend(arrow.item.as_deref());
            }
            let uses = uses
                .iter()
                .map(|(to, names)| format!("{to} ({})", names.iter().copied().collect::<Vec<_>>().join(" ")));
            text += &format!("    {file} uses {}\n", uses.collect::<Vec<_>>().join(", "));
        }
        text
    }
}
