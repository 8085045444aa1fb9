//! Figures, their bounds, and whether they hold.

/// All figures so far; each is printed as it comes.
#[derive(Debug)]
pub(super) struct Verdicts {
    all_hold: bool,
}

impl Default for Verdicts {
    fn default() -> Verdicts {
        Verdicts { all_hold: true }
    }
}

impl Verdicts {
    /// A figure with the bound that it must not exceed, if it has one.
    pub(super) fn add(&mut self, what: &str, value: f64, bound: Option<f64>) {
        println!("{}", line(what, value, bound));
        self.all_hold &= holds(value, bound);
    }

    pub(super) fn all_hold(&self) -> bool {
        self.all_hold
    }
}

fn holds(value: f64, bound: Option<f64>) -> bool {
    bound.is_none_or(|bound| value <= bound)
}

fn line(what: &str, value: f64, bound: Option<f64>) -> String {
    let Some(limit) = bound else { return format!("{what:50} {value:10.2}") };
    let verdict = if holds(value, bound) { "PASS" } else { "over" };
    format!("{what:50} {value:10.2} ≤ {limit:6.2}  {verdict}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_figure_over_its_bound_spoils_all() {
        let mut verdicts = Verdicts::default();
        verdicts.add("memory", 1e9, None);
        verdicts.add("load", 15.0, Some(15.0));
        assert!(verdicts.all_hold());
        verdicts.add("load", 15.1, Some(15.0));
        verdicts.add("load", 1.0, Some(15.0));
        assert!(!verdicts.all_hold());
        assert!(line("load", 15.1, Some(15.0)).ends_with("over"));
    }
}
