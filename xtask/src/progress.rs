//! What is shown of a step while it runs: on a terminal its line with the time so far, elsewhere a line when it begins.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::now;

/// A step that runs; its line is gone, or has ended, when this is dropped.
pub(crate) struct Progress {
    ticking: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Shows that `what` begins.
    pub(crate) fn begin(what: &str) -> Progress {
        if !io::stdout().is_terminal() {
            println!("{}", started(what));
            return Progress { ticking: None };
        }
        let (end, ended) = channel::<()>();
        let (what, begun) = (what.to_owned(), now());
        let thread = thread::spawn(move || {
            loop {
                show(&running(&what, now() - begun));
                match ended.recv_timeout(TICK) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return show(CLEAR),
                }
            }
        });
        Progress { ticking: Some((end, thread)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.ticking.take() {
            drop(end);
            let _ended = thread.join();
        }
    }
}

/// What is shown where lines stay.
fn started(what: &str) -> String {
    format!("{what:STEP_WIDTH$} …")
}

/// What is shown on a terminal, instead of what was there.
fn running(what: &str, time: Duration) -> String {
    format!("{CLEAR}{what:STEP_WIDTH$} … {:8.0} s", time.as_secs_f64().floor())
}

fn show(text: &str) {
    print!("{text}");
    let _nobody_looks = io::stdout().flush();
}

/// The beginning of the line, and nothing on it (ECMA-48: EL).
const CLEAR: &str = "\r\x1b[K";

const TICK: Duration = Duration::from_secs(1);

/// The longest name of a step, so that the verdicts stand in one column.
pub(crate) const STEP_WIDTH: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_one_line_wherever_it_is_shown() {
        assert_eq!(started("unit: cargo test"), format!("{:36} …", "unit: cargo test"));
        let line = running("unit: cargo test", Duration::from_millis(61_900));
        assert_eq!(line, format!("\r\x1b[K{:36} …       61 s", "unit: cargo test"));
        assert!(!line.contains('\n'));
    }
}
