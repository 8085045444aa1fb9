//! The queue of lines, and the thread that writes them.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::rate;

/// Lines that nobody took in time.
pub(crate) static LINES_LOST: AtomicU64 = AtomicU64::new(0);

/// Where lines go. One for the process, as stderr is.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    sender: SyncSender<LogItem>,
    lost: &'static AtomicU64,
}

#[derive(Debug)]
enum LogItem {
    Line(Box<[u8]>),
    /// Tells when what came before is written.
    Flush(SyncSender<()>),
    /// Lines were suppressed, which is to be told.
    Suppressed,
}

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// 512 lines × 8 KiB = 4 MiB at the very worst.
const LINES_MAX: usize = 512;

/// Longer lines are cut: no reader of logs likes them.
const LINE_BYTES_MAX: usize = 8 * 1024;

impl Queue {
    /// Starts the thread, which lives as long as the process, or finds the one that there is.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Queue> {
        if let Some(queue) = QUEUE.get() {
            return Ok(queue.clone());
        }
        let queue = Queue::to(out, &LINES_LOST)?;
        Ok(QUEUE.get_or_init(|| queue).clone())
    }

    fn to(out: impl Write + Send + 'static, lost: &'static AtomicU64) -> io::Result<Queue> {
        let (sender, items) = sync_channel(LINES_MAX);
        thread::Builder::new().name("log".to_owned()).spawn(move || write(out, &items, lost))?;
        Ok(Queue { sender, lost })
    }

    fn put(&self, line: &[u8]) {
        let line = match line.get(..LINE_BYTES_MAX) {
            Some(start) => [start, b"\n"].concat(),
            None => line.to_vec(),
        };
        if self.sender.try_send(LogItem::Line(line.into())).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    fn flush(&self, limit: Duration) {
        let (done, is_done) = sync_channel(1);
        let mut item = LogItem::Flush(done);
        let mut left = limit;
        while let Err(full) = self.sender.try_send(item) {
            item = match full {
                TrySendError::Full(item) if !left.is_zero() => item,
                TrySendError::Full(_) | TrySendError::Disconnected(_) => return,
            };
            thread::sleep(FLUSH_PAUSE);
            left = left.saturating_sub(FLUSH_PAUSE);
        }
        let _ = is_done.recv_timeout(left); // who does not read has had its time
    }
}

/// Waits until what was queued is written, or for `limit`.
pub(super) fn flush(limit: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(limit);
    }
}

const FLUSH_PAUSE: Duration = Duration::from_millis(5);

/// Has the thread tell what was suppressed; it does so at most once in [`TELL_EVERY`].
pub(super) fn tell_suppressed() {
    if let Some(queue) = QUEUE.get() {
        let _ = queue.sender.try_send(LogItem::Suppressed); // where it is full, the next one comes soon
    }
}

const TELL_EVERY: Duration = Duration::from_secs(1);

fn write(mut out: impl Write, items: &Receiver<LogItem>, lost: &AtomicU64) {
    let mut told_lost = 0;
    let mut tells = false;
    loop {
        let item = match tells {
            false => items.recv().map_err(|_| RecvTimeoutError::Disconnected),
            true => items.recv_timeout(TELL_EVERY),
        };
        match item {
            Ok(LogItem::Line(line)) => {
                let unwritten = write_batch(&mut out, &line, items, &mut tells);
                lost.fetch_add(unwritten, Relaxed);
            }
            Ok(LogItem::Flush(done)) => drop(done.send(())),
            Ok(LogItem::Suppressed) => tells = true,
            Err(RecvTimeoutError::Timeout) => {
                tells = false;
                rate::tell();
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let lost = lost.load(Relaxed);
        if lost != told_lost {
            // There is room again. Should this line be lost, too, the next one tells of both.
            tracing::warn!(lines = lost - told_lost, "lines of the log were lost: nobody took them in time");
            told_lost = lost;
        }
    }
}

/// Writes `line`, and with it those that wait behind it; tells how many could not be written.
fn write_batch(out: &mut impl Write, line: &[u8], items: &Receiver<LogItem>, tells: &mut bool) -> u64 {
    let mut batch = line.to_vec();
    let mut lines = 1;
    let mut flushed = None;
    while batch.len() < BATCH_BYTES {
        match items.try_recv() {
            Ok(LogItem::Line(line)) => {
                batch.extend_from_slice(&line);
                lines += 1;
            }
            Ok(LogItem::Suppressed) => *tells = true,
            Ok(LogItem::Flush(done)) => {
                flushed = Some(done);
                break;
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    let written = out.write_all(&batch).and_then(|()| out.flush());
    if let Some(done) = flushed {
        let _ = done.send(());
    }
    if written.is_ok() { 0 } else { lines }
}

/// Half of what a pipe takes.
const BATCH_BYTES: usize = 32 * 1024;

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Queue;

    fn make_writer(&'a self) -> &'a Queue {
        self
    }
}

/// Takes one line at a time, which is how it is written to.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// Tells of each write, and takes it when it is told to.
    struct Slow {
        begun: Sender<()>,
        goes: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.begun.send(());
            let _ = self.goes.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_never_waited_for_those_beyond_the_queue_are_counted_and_the_others_written() {
        let ((begun, begins), (go, goes), (written, writes)) = (channel(), channel(), channel());
        static LOST: AtomicU64 = AtomicU64::new(0);
        let queue = Queue::to(Slow { begun, goes, written }, &LOST).unwrap();
        (&queue).write_all(b"line\n").unwrap();
        begins.recv().unwrap(); // the writer has that one in its hands, and takes no more
        for _ in 0..LINES_MAX + 100 {
            (&queue).write_all(b"line\n").unwrap();
        }
        (&queue).write_all(&[b'x'; 2 * LINE_BYTES_MAX]).unwrap();
        assert_eq!(LOST.load(Relaxed), 101);
        queue.flush(Duration::from_millis(20)); // nobody reads: it gives up
        drop(go); // from here on everything is taken
        queue.flush(Duration::from_secs(5));
        let text: Vec<u8> = writes.try_iter().flatten().collect();
        let lines = text.iter().filter(|&&byte| byte == b'\n').count() as u64;
        assert_eq!(lines, LINES_MAX as u64 + 1);
    }
}
