//! What happens in the folder, from inotify(7): no event without a finished file, and no cost for the files that rest.

use std::collections::BTreeSet;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::folder::ManifestFolder;
use crate::clock::sleep;

/// What may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// These files, by name.
    Files(BTreeSet<String>),
    /// Anything: nobody could watch, or too much happened.
    All,
}

/// Tells which files of a folder were written, moved or deleted.
///
/// Where the kernel gives no watch (their number is limited, and some file systems have none), or the folder itself went away,
/// everything is [`Touched::All`] every two seconds, until there is a watch again.
#[derive(Debug)]
pub struct FolderWatch {
    folder: ManifestFolder,
    events: Option<AsyncFd<OwnedFd>>,
}

impl FolderWatch {
    pub(super) fn start(folder: ManifestFolder) -> FolderWatch {
        let events = subscribe(&folder);
        FolderWatch { folder, events }
    }

    /// Of single files: one for each folder.
    pub(crate) fn files<'a>(files: impl Iterator<Item = &'a PathBuf>) -> impl Iterator<Item = FolderWatch> {
        ManifestFolder::of_files(files).map(FolderWatch::start)
    }

    /// Waits until something happened and 50 ms more, so that what is done in one go is told in one. May be dropped at any time:
    /// what happened meanwhile is told the next time.
    pub async fn touched(&mut self) -> Touched {
        loop {
            let Some(events) = &self.events else {
                sleep(RESCAN).await;
                self.events = subscribe(&self.folder);
                return Touched::All;
            };
            let Ok(mut ready) = events.readable().await else {
                self.events = None;
                continue;
            };
            sleep(DEBOUNCE).await;
            let happened = drain(events.get_ref(), &self.folder);
            ready.clear_ready();
            match happened {
                Happened::Files(names) if names.is_empty() => {}
                Happened::Files(names) => return Touched::Files(names),
                Happened::Anything => return Touched::All,
                Happened::FolderGone => {
                    self.events = subscribe(&self.folder);
                    return Touched::All;
                }
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "an OwnedFd keeps what the successor of `AsyncFd::new` asks of unsafe code: one open file"
)]
fn subscribe(folder: &ManifestFolder) -> Option<AsyncFd<OwnedFd>> {
    let finished =
        WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
    let folder_itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
    let links = WatchFlags::CREATE; // the only event of a new link; that of a new file says nothing yet
    let subscription = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).and_then(|events| {
        inotify::add_watch(&events, &folder.path, finished | folder_itself | links)?;
        Ok(events)
    });
    let events = subscription.map_err(std::io::Error::from).and_then(AsyncFd::new);
    if let Err(error) = &events {
        let folder = folder.path.display();
        tracing::warn!(%folder, %error, "cannot watch files, looking every {} s instead", RESCAN.as_secs());
    }
    events.ok()
}

enum Happened {
    Files(BTreeSet<String>),
    Anything,
    FolderGone,
}

fn drain(events: &OwnedFd, folder: &ManifestFolder) -> Happened {
    let mut buffer = [const { MaybeUninit::uninit() }; EVENT_BYTES];
    let mut reader = inotify::Reader::new(events, &mut buffer);
    let mut happened = Happened::Files(BTreeSet::new());
    loop {
        let event = match reader.next() {
            Ok(event) => event,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return happened,
            Err(_) => return Happened::FolderGone,
        };
        let name = event.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if event.events().intersects(GONE) {
            return Happened::FolderGone;
        }
        match &mut happened {
            _ if event.events().contains(ReadFlags::QUEUE_OVERFLOW) || name == KUBELET_LINK => {
                happened = Happened::Anything;
            }
            Happened::Files(names) if folder.has(&name) => {
                if !event.events().contains(ReadFlags::CREATE) || is_link(folder, &name) {
                    names.insert(name);
                }
            }
            Happened::Files(_) | Happened::Anything | Happened::FolderGone => {}
        }
    }
}

/// Whether the new `name` has a content already.
fn is_link(folder: &ManifestFolder, name: &str) -> bool {
    let metadata = fs::symlink_metadata(folder.path.join(name));
    metadata.is_ok_and(|metadata| metadata.is_symlink() || metadata.nlink() > 1)
}

const GONE: ReadFlags =
    ReadFlags::DELETE_SELF.union(ReadFlags::MOVE_SELF).union(ReadFlags::IGNORED).union(ReadFlags::UNMOUNT);

/// In a ConfigMap mount each file is a link through this one, which the kubelet moves to a new folder in one step.
const KUBELET_LINK: &str = "..data";

/// Well below the 100 ms in which a rewritten file must serve; well above the time between two files of one `kubectl` or `git`.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Looking at ten thousand files costs 10 ms, half a percent of a core.
const RESCAN: Duration = Duration::from_secs(2);

/// Some 100 events with names of 20 bytes; a full buffer is read again.
const EVENT_BYTES: usize = 4096;
