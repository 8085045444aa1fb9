//! `sidecar demo`: a few backends, the sidecar itself between them and you, and a tour of what that gives.
//!
//! Everything real: the sidecar is this binary as `sidecar run`, in a process of its own, and each line of the tour is run by a
//! shell as it is printed. What a line shows is compared with what it should.

mod backends;
mod claims;
mod folder;
mod manifests;
mod ports;
mod process;
mod screen;
mod shell;
mod tour;

use std::io::{self, IsTerminal};
use std::net::TcpListener;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::RunError;

use backends::Backends;
use folder::DemoFolder;
use ports::DemoPorts;
use process::Sidecar;
use screen::Screen;
use tour::Stop;

/// Takes the tour; with `once` ends there, else stays until it is told to end. True when every line showed what it should.
///
/// # Errors
/// What keeps the demo from starting: curl is missing, another demo runs, or the sidecar does not come up.
pub fn run(once: bool) -> Result<bool, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(RunError::because("cannot start a runtime"))?;
    let passed = runtime.block_on(until_told_to_end(once));
    runtime.shutdown_background(); // a line of the tour may still run
    passed
}

async fn until_told_to_end(once: bool) -> Result<bool, RunError> {
    let told = |kind| signal(kind).map_err(RunError::because("cannot listen to signals"));
    let (mut interrupt, mut terminate) = (told(SignalKind::interrupt())?, told(SignalKind::terminate())?);
    tokio::select! {
        passed = Box::pin(show(once)) => passed,
        _ = interrupt.recv() => Ok(!once), // who asked for the tour only has not seen all of it
        _ = terminate.recv() => Ok(!once),
    }
}

async fn show(once: bool) -> Result<bool, RunError> {
    shell::require_curl()?;
    let _only = only_demo()?;
    let ports = DemoPorts::choose().map_err(RunError::because("cannot find free ports"))?;
    let folder = DemoFolder::create(&ports).map_err(RunError::because("cannot write the manifests"))?;
    let _backends = Backends::start(&ports).await.map_err(RunError::because("cannot start the backends"))?;
    let mut sidecar =
        Sidecar::start(&folder, &ports).map_err(RunError::because("cannot start the sidecar"))?;
    sidecar.ready(&folder, &ports).await?;
    let stops = tour::stops(&ports, &sidecar.vips(&ports).await?);

    let stdout = io::stdout();
    let colour = stdout.is_terminal();
    let mut screen = Screen::new(stdout, colour);
    let passed = take(&stops, &folder, &ports, &mut screen)
        .await
        .map_err(RunError::because("cannot show the tour"))?;
    if !once {
        screen.stays(&ports).map_err(RunError::because("cannot show the tour"))?;
        std::future::pending().await
    }
    Ok(passed)
}

/// Runs every line, and shows what came of it.
async fn take(
    stops: &[Stop],
    folder: &DemoFolder,
    ports: &DemoPorts,
    screen: &mut Screen<impl io::Write>,
) -> io::Result<bool> {
    screen.opens(folder.path(), ports)?;
    let mut passed = 0;
    for (index, stop) in stops.iter().enumerate() {
        screen.announces(index + 1, stop)?;
        let finished = shell::run(stop.lines.join("\n"), folder.path()).await?;
        let broken = claims::broken(&stop.claims, &finished);
        screen.shows(&finished.output, &broken)?;
        passed += usize::from(broken.is_empty());
    }
    screen.sums_up(passed, stops.len())?;
    Ok(passed == stops.len())
}

/// Holds the place of the one demo of this machine: a second one would listen on the same loopback VIPs, and take half of the
/// connections. The sidecar gives nobody 127.66.0.1.
fn only_demo() -> Result<TcpListener, RunError> {
    TcpListener::bind("127.66.0.1:15066").map_err(RunError::because("another demo runs on this machine"))
}
