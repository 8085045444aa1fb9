//! The files of a path, and what each of them is.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::control::manifests::{is_manifest, read_file};

/// A file that was read.
#[derive(Debug)]
pub(super) struct ReadFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileSort {
    Manifest,
    /// Certificates and keys.
    Pem,
    Token,
}

/// A file that cannot be read, and why.
pub(super) type UnreadableFile = (PathBuf, String);

/// The file at `path`, whatever it is; all below it that concerns us, where it is a folder.
pub(super) fn list(path: &Path) -> (Vec<ReadFile>, Vec<UnreadableFile>) {
    let (mut files, mut unreadable) = (Vec::new(), Vec::new());
    if path == Path::new(STDIN) {
        let mut bytes = Vec::new();
        match io::stdin().read_to_end(&mut bytes) {
            Ok(_) => files.push(ReadFile { path: path.into(), bytes }),
            Err(error) => unreadable.push((path.into(), format!("cannot be read: {error}"))),
        }
        return (files, unreadable);
    }
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        match read(&path, &mut open) {
            Ok(file) => files.extend(file),
            Err(error) => unreadable.push((path, format!("cannot be read: {error}"))),
        }
    }
    (files, unreadable)
}

/// The file, or nothing where `path` is a folder, whose entries are then left to be read.
fn read(path: &Path, open: &mut Vec<PathBuf>) -> io::Result<Option<ReadFile>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Ok(Some(ReadFile { path: path.to_owned(), bytes: read_file(path, metadata.len())? }));
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type()?.is_dir(); // a link to a folder may lead in a circle
        let is_file = || fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file());
        if !name.starts_with('.') && (is_folder || (concerns_us(&name) && is_file())) {
            open.push(entry.path());
        }
    }
    Ok(None)
}

fn concerns_us(name: &str) -> bool {
    is_manifest(name) || is_pem(name) || is_token(name)
}

fn is_pem(name: &str) -> bool {
    [".pem", ".crt", ".cer", ".key"].iter().any(|end| name.ends_with(end))
}

fn is_token(name: &str) -> bool {
    name == "token" || name.ends_with(".token") || name.ends_with("-token")
}

impl ReadFile {
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// By its name, and where that says nothing by its content.
    pub(super) fn sort(&self) -> FileSort {
        let name = self.name();
        let text = self.bytes.trim_ascii();
        match name {
            name if is_manifest(&name) => FileSort::Manifest,
            name if is_pem(&name) => FileSort::Pem,
            name if is_token(&name) => FileSort::Token,
            _ if text.starts_with(b"-----BEGIN ") => FileSort::Pem,
            _ if is_word(text) => FileSort::Token,
            _ => FileSort::Manifest,
        }
    }
}

/// One line that is no YAML but a scalar.
fn is_word(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(u8::is_ascii_graphic)
        && !text.starts_with(b"{")
        && !text.ends_with(b":")
}

const STDIN: &str = "-";
