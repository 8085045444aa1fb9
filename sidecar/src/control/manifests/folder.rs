//! Where manifests lie, and which of what lies there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A folder, or some files in it.
#[derive(Clone, Debug)]
pub(super) struct ManifestFolder {
    pub(super) path: PathBuf,
    only: Option<BTreeSet<String>>,
}

/// What changes when a file is written, even if a link leads elsewhere now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    modified: (i64, i64),
    bytes: u64,
    inode: (u64, u64),
}

impl ManifestFolder {
    pub(super) fn open(path: &Path) -> io::Result<ManifestFolder> {
        if fs::metadata(path)?.is_dir() {
            return Ok(ManifestFolder { path: path.into(), only: None });
        }
        let (folder, name) = place(path).ok_or(io::ErrorKind::InvalidFilename)?;
        Ok(ManifestFolder { path: folder.into(), only: Some([name].into()) })
    }

    /// The folders of `files`, of each only those.
    pub(super) fn of_files<'a>(
        files: impl Iterator<Item = &'a PathBuf>,
    ) -> impl Iterator<Item = ManifestFolder> {
        let mut folders: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
        for (folder, name) in files.filter_map(|file| place(file)) {
            folders.entry(folder.into()).or_default().insert(name);
        }
        folders.into_iter().map(|(path, names)| ManifestFolder { path, only: Some(names) })
    }

    /// Whether `name` is a manifest. What starts with a dot is not: editors and the kubelet (`..data`) keep their own there.
    pub(super) fn has(&self, name: &str) -> bool {
        match &self.only {
            Some(only) => only.contains(name),
            None => is_manifest(name),
        }
    }

    /// Every manifest there is. Folders in the folder are not looked into.
    pub(super) fn list(&self) -> io::Result<BTreeMap<String, FileStamp>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if self.has(&name)
                && let Ok(metadata) = fs::metadata(self.path.join(&name)) // follows links; one that leads nowhere is none
                && metadata.is_file()
            {
                found.insert(name, FileStamp::of(&metadata));
            }
        }
        Ok(found)
    }

    /// The bytes of a manifest; `None` when it is gone.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<(FileStamp, Vec<u8>)>> {
        let path = self.path.join(name);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata, // a pipe would keep us waiting
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some((FileStamp::of(&metadata), read_file(&path, metadata.len())?)))
    }
}

/// The bytes of a file, of which some `expected` are expected.
///
/// # Errors
/// It cannot be read, or is too large for a manifest.
pub(crate) fn read_file(path: &Path, expected: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected.min(MAX_BYTES)).unwrap_or_default());
    fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 64 MiB")),
        false => Ok(bytes),
    }
}

/// Whether a file of a folder is one by its name.
pub(crate) fn is_manifest(name: &str) -> bool {
    !name.starts_with('.') && [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end))
}

/// The folder of a file, and its name there.
fn place(file: &Path) -> Option<(&Path, String)> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some((folder, file.file_name()?.to_string_lossy().into_owned()))
}

impl FileStamp {
    fn of(metadata: &Metadata) -> FileStamp {
        FileStamp {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            bytes: metadata.len(),
            inode: (metadata.dev(), metadata.ino()),
        }
    }
}

/// `kubectl get endpointslices -A -o json` with 3,000 full slices of 20 KiB. A list is held as text, as JSON and as facts at once.
const MAX_BYTES: u64 = 64 << 20;
