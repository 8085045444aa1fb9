//! What containers print: written in the format of the container runtimes, read by `kubectl logs`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use k8s_openapi::jiff::Timestamp;
use tokio::fs::File;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::sync::{mpsc, watch};

use super::Result;

/// The log of one run of a container.
pub(crate) struct Log {
    path: PathBuf,
    progress: watch::Receiver<Progress>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    bytes: u64,
    ended: bool,
}

impl Log {
    /// Collects both streams of a container into a file.
    pub(crate) fn start(
        path: PathBuf,
        output: impl AsyncRead + Send + Unpin + 'static,
        errors: impl AsyncRead + Send + Unpin + 'static,
    ) -> Arc<Log> {
        let (sender, progress) = watch::channel(Progress::default());
        let (lines, received) = mpsc::channel(64);
        tokio::spawn(read("stdout", output, lines.clone()));
        tokio::spawn(read("stderr", errors, lines));
        tokio::spawn(write(path.clone(), received, sender));
        Arc::new(Log { path, progress })
    }

    /// Sends it as `kubectl logs` asks for it; to its end where it is followed.
    pub(crate) async fn send(&self, options: Options, to: mpsc::Sender<Vec<u8>>) -> Result<()> {
        let mut progress = self.progress.clone();
        let mut at = *progress.borrow_and_update();
        let (text, mut position) = read_range(&self.path, 0, at.bytes).await?;
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let skipped = options.tail_lines.map_or(0, |tail| lines.len().saturating_sub(tail));
        for line in &lines[skipped..] {
            to.send(options.shown(line)).await?;
        }
        while options.follow && !at.ended {
            if progress.changed().await.is_err() {
                return Ok(());
            }
            at = *progress.borrow_and_update();
            let (text, end) = read_range(&self.path, position, at.bytes).await?;
            position = end;
            for line in text.split_inclusive('\n') {
                to.send(options.shown(line)).await?;
            }
        }
        Ok(())
    }
}

/// What of a log is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) follow: bool,
    pub(crate) timestamps: bool,
    pub(crate) previous: bool,
    pub(crate) tail_lines: Option<usize>,
}

impl Options {
    pub(crate) fn parse(query: &str) -> Options {
        let mut options = Options::default();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "follow" => options.follow = value == "true",
                "timestamps" => options.timestamps = value == "true",
                "previous" => options.previous = value == "true",
                "tailLines" => options.tail_lines = value.parse().ok(),
                _ => {}
            }
        }
        options
    }

    /// `TIME STREAM TAG TEXT` → what the user sees.
    fn shown(self, line: &str) -> Vec<u8> {
        let mut words = line.splitn(4, ' ');
        let (time, _stream, tag, text) = (words.next(), words.next(), words.next(), words.next());
        let mut shown = String::new();
        if self.timestamps {
            shown.push_str(time.unwrap_or_default());
            shown.push(' ');
        }
        let text = text.unwrap_or_default();
        shown.push_str(if tag == Some("P") { text.trim_end_matches('\n') } else { text });
        shown.into_bytes()
    }
}

type Runs = Vec<Arc<Log>>;

/// The logs of all containers, the latest run last.
#[derive(Default)]
pub(crate) struct Logs {
    /// By pod and container.
    known: Mutex<HashMap<(String, String), Runs>>,
}

impl Logs {
    pub(crate) fn add(&self, pod: &str, container: &str, log: Arc<Log>) {
        if let Ok(mut known) = self.known.lock() {
            known.entry((pod.to_owned(), container.to_owned())).or_default().push(log);
        }
    }

    pub(crate) fn find(&self, pod: &str, container: &str, previous: bool) -> Option<Arc<Log>> {
        let known = self.known.lock().ok()?;
        let runs = known.get(&(pod.to_owned(), container.to_owned()))?;
        runs.iter().rev().nth(usize::from(previous)).cloned()
    }

    /// Forgets those of a pod that is gone.
    pub(crate) fn forget(&self, pod: &str) {
        if let Ok(mut known) = self.known.lock() {
            known.retain(|(owner, _), _| owner != pod);
        }
    }
}

async fn read_range(path: &Path, from: u64, to: u64) -> Result<(String, u64)> {
    if from == to {
        return Ok((String::new(), to));
    }
    let mut file = File::open(path).await?;
    file.seek(std::io::SeekFrom::Start(from)).await?;
    let mut bytes = Vec::new();
    file.take(to - from).read_to_end(&mut bytes).await?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), to))
}

/// Lines of one stream; a last one without its end is marked as partial, and one that is too long is cut into several.
async fn read(name: &'static str, stream: impl AsyncRead + Unpin, lines: mpsc::Sender<Vec<u8>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut stream).take(LINE_MAX);
        match bounded.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let tag = if line.ends_with(b"\n") { "F" } else { "P" };
        let mut written = format!("{:.9} {name} {tag} ", Timestamp::now()).into_bytes();
        written.append(&mut line);
        if tag == "P" {
            written.push(b'\n');
        }
        if lines.send(written).await.is_err() {
            return;
        }
    }
}

/// As the runtimes have it: 16 KiB.
const LINE_MAX: u64 = 16 << 10;

async fn write(path: PathBuf, mut lines: mpsc::Receiver<Vec<u8>>, progress: watch::Sender<Progress>) {
    let Ok(mut file) = File::create(&path).await else { return };
    while let Some(line) = lines.recv().await {
        if file.write_all(&line).await.is_err() || file.flush().await.is_err() {
            return;
        }
        progress.send_modify(|progress| progress.bytes += line.len() as u64);
    }
    progress.send_modify(|progress| progress.ended = true);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(log: &Log, options: Options) -> String {
        let (sender, mut receiver) = mpsc::channel(64);
        log.send(options, sender).await.unwrap();
        let mut text = Vec::new();
        while let Ok(line) = receiver.try_recv() {
            text.extend(line);
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn both_streams_are_collected_and_told_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::start(folder.path().join("0.log"), &b"one\ntwo"[..], &b""[..]);
        let follow = Options { follow: true, ..Options::default() };
        assert_eq!(told(&log, follow).await, "one\ntwo");
        assert_eq!(told(&log, Options { tail_lines: Some(1), ..Options::default() }).await, "two");
        let timed = told(&log, Options { timestamps: true, ..Options::default() }).await;
        let (time, text) = timed.lines().next().unwrap().split_once(' ').unwrap();
        assert!(time.parse::<Timestamp>().is_ok(), "{time}");
        assert_eq!(text, "one");
    }

    #[test]
    fn what_kubectl_asks_for_is_understood() {
        let options = Options::parse("follow=true&tailLines=5&x=y&timestamps=false&previous=true");
        assert!(options.follow && options.previous && !options.timestamps);
        assert_eq!(options.tail_lines, Some(5));
    }
}
