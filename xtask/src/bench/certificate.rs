//! The certificate that every proxy shows: ECDSA P-256, which is what most are by now.

use std::path::Path;

use crate::{Result, shell};

/// Makes it in `folder`, with its key.
pub(crate) fn make(folder: &Path) -> Result<()> {
    let [certificate, key] = ["pem", "pem.key"].map(|end| format!("{}/tls.{end}", folder.display()));
    let mut command =
        shell::command("openssl", ["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=bench.test"]);
    command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command.args(["-addext", "subjectAltName=DNS:bench.test", "-keyout", &key, "-out", &certificate]);
    let finished = shell::run(command);
    if finished.success { Ok(()) } else { Err(finished.output.into()) }
}

/// The certificate and its key, for the proxy whose own folder is `folder`.
pub(crate) fn files(folder: &Path) -> [String; 2] {
    let shared = folder.parent().unwrap_or(folder).display();
    [format!("{shared}/tls.pem"), format!("{shared}/tls.pem.key")]
}
