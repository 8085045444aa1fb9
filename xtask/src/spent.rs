//! What work costs: time on the clock, and of all processors together.

use std::fmt;
use std::fs;
use std::time::Duration;

use crate::clock;

/// What was spent, by this program's children and theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    wall: Duration,
    cpu: Duration,
}

impl Spent {
    /// Since this program began.
    pub(crate) fn so_far() -> Spent {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Spent { wall: clock::now(), cpu: children(&stat) }
    }

    /// Since `before`.
    pub(crate) fn since(before: Spent) -> Spent {
        let now = Spent::so_far();
        Spent { wall: now.wall - before.wall, cpu: now.cpu.saturating_sub(before.cpu) }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = |time: Duration| time.as_secs_f64() / 60.0;
        write!(f, "{:5.1} min, {:5.1} min of CPU", minutes(self.wall), minutes(self.cpu))
    }
}

/// `cutime` and `cstime` of proc_pid_stat(5): of the children that were waited for, and of those that these had waited for.
fn children(stat: &str) -> Duration {
    let behind_name = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = behind_name.split_whitespace().skip(13).take(2);
    let ticks: u64 = times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10) // a hundred to the second, whatever the kernel's own clock
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_children_is_read_behind_a_name_with_anything_in_it() {
        let stat = "7 (a) b 1) S 1 7 7 0 -1 4194304 100 200 0 0 11 12 1300 140 20 0 1 0 100 0 0";
        assert_eq!(children(stat), Duration::from_millis(14_400));
        assert_eq!(children(""), Duration::ZERO);
    }

    #[test]
    fn what_was_spent_is_told_in_minutes() {
        let spent = Spent { wall: Duration::from_secs(90), cpu: Duration::from_secs(171) };
        assert_eq!(spent.to_string(), "  1.5 min,   2.9 min of CPU");
    }

    #[test]
    fn work_of_a_child_counts_once_it_has_ended() {
        let before = Spent::so_far();
        let work = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        std::process::Command::new("sh").args(["-c", work]).status().expect("a shell");
        let spent = Spent::since(before);
        assert!(
            spent.cpu >= Duration::from_millis(10) && spent.wall >= Duration::from_millis(10),
            "{spent:?}"
        );
    }
}
