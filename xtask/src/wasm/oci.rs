//! The filter as an OCI image, in the form that Istio's `WasmPlugin` pulls: the *oci* variant of the Wasm image specification
//! (github.com/solo-io/wasm, `spec/spec.md`), whose two layers are files as they are, no archives.

use std::fs;
use std::path::Path;

use crate::{Result, shell};

/// Writes an image layout (OCI image-spec, `image-layout.md`) with the module at `wasm` into `folder`, and tells the digest of its manifest.
pub(super) fn write(wasm: &Path, folder: &Path) -> Result<String> {
    fs::create_dir_all(folder.join(BLOBS))?;
    let runtime = Blob::write(folder, RUNTIME.as_bytes())?;
    let module = Blob::write(folder, &fs::read(wasm)?)?;
    let layers = [
        runtime.descriptor("application/vnd.module.wasm.config.v1+json", "runtime-config.json"),
        module.descriptor("application/vnd.module.wasm.content.layer.v1+wasm", "plugin.wasm"),
    ];
    let empty = Blob::write(folder, b"{}")?.plain_descriptor("application/vnd.oci.image.config.v1+json");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{empty},"layers":[{}]}}"#,
        layers.join(",")
    );
    let manifest = Blob::write(folder, manifest.as_bytes())?;
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
        manifest.plain_descriptor(MANIFEST)
    );
    fs::write(folder.join("index.json"), index)?;
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(format!("sha256:{}", manifest.sha256))
}

/// Content in the layout, which is named by what it is.
struct Blob {
    sha256: String,
    /// In bytes.
    size: usize,
}

impl Blob {
    fn write(folder: &Path, content: &[u8]) -> Result<Blob> {
        let blobs = folder.join(BLOBS);
        let unnamed = blobs.join("unnamed");
        fs::write(&unnamed, content)?;
        let answer = shell::answer(shell::command("sha256sum", []).arg(&unnamed))?;
        let sha256 = answer.split(' ').next().unwrap_or_default().to_owned();
        fs::rename(unnamed, blobs.join(&sha256))?;
        Ok(Blob { sha256, size: content.len() })
    }

    fn plain_descriptor(&self, media_type: &str) -> String {
        format!(r#"{{{}}}"#, self.fields(media_type))
    }

    fn descriptor(&self, media_type: &str, title: &str) -> String {
        let title = format!(r#""annotations":{{"org.opencontainers.image.title":"{title}"}}"#);
        format!(r#"{{{},{title}}}"#, self.fields(media_type))
    }

    fn fields(&self, media_type: &str) -> String {
        format!(r#""mediaType":"{media_type}","digest":"sha256:{}","size":{}"#, self.sha256, self.size)
    }
}

const BLOBS: &str = "blobs/sha256";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What the specification wants to know of a module for Envoy: the ABI (proxy-wasm's, as Envoy's `GetAbiVersion` spells it) and the
/// names of its roots, of which ours has no need.
const RUNTIME: &str =
    r#"{"type":"envoy_proxy","abiVersions":["proxy_abi_version_0_2_1"],"config":{"rootIds":[]}}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn everything_in_the_layout_is_named_by_its_digest_and_reached_from_the_index() {
        let folder = env::temp_dir().join(format!("svcmesh-oci-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let wasm = folder.join("filter.wasm");
        fs::write(&wasm, b"\0asm\x01\0\0\0").unwrap();
        let digest = write(&wasm, &folder).unwrap();

        let index = fs::read_to_string(folder.join("index.json")).unwrap();
        assert!(index.contains(&digest), "{index}");
        let blob = |digest: &str| folder.join(BLOBS).join(digest.strip_prefix("sha256:").unwrap());
        let manifest = fs::read_to_string(blob(&digest)).unwrap();
        let digests: Vec<&str> = manifest.split("\"digest\":\"").skip(1).map(|rest| &rest[..71]).collect();
        assert_eq!(digests.len(), 3, "{manifest}");
        assert_eq!(fs::read(blob(digests[0])).unwrap(), b"{}");
        assert_eq!(fs::read(blob(digests[1])).unwrap(), RUNTIME.as_bytes());
        assert_eq!(fs::read(blob(digests[2])).unwrap(), b"\0asm\x01\0\0\0");
        // printf '\0asm\1\0\0\0' | sha256sum
        assert!(digests[2].ends_with("93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476"));
        fs::remove_dir_all(folder).unwrap();
    }
}
