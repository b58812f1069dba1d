//! An image as a file: what `docker save` writes, which is an OCI layout too.
//!
//! Shape: one image per architecture → a tar of blobs named by their SHA-256, an OCI index of all, and Docker's manifest of the first.
//! Source: OCI image specification v1.1 (layout, index, manifest, config); Docker image specification v1.2 (manifest.json).
//! Times are 0 and owners are root: the same files give the same bytes.
use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    path::Path,
};
use tar::{Builder, EntryType, Header};

/// Files of an image, not compressed: registries and their clients do that.
#[derive(Default)]
pub(super) struct Layer(Option<Builder<Vec<u8>>>);

/// One architecture's image.
pub(super) struct Image {
    /// As Go calls it.
    pub(super) arch: &'static str,
    /// The tar of its files.
    pub(super) layer: Vec<u8>,
    /// What is run.
    pub(super) entrypoint: &'static str,
    /// Its arguments, unless others are given.
    pub(super) command: &'static [&'static str],
}

/// All of them under one name.
pub(super) struct Archive {
    /// With the registry's host.
    pub(super) name: &'static str,
    /// The version.
    pub(super) tag: &'static str,
    /// The first is what Docker loads.
    pub(super) images: Vec<Image>,
}

impl Layer {
    fn builder(&mut self) -> &mut Builder<Vec<u8>> {
        self.0.get_or_insert_with(|| Builder::new(Vec::new()))
    }

    pub(super) fn folder(&mut self, name: &str) -> Result<()> {
        let header = header(EntryType::Directory, 0, 0o755);
        Ok(append(self.builder(), header, &format!("{name}/"), &[])?)
    }

    pub(super) fn file(&mut self, name: &str, from: &Path, mode: u32) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        let header = header(EntryType::Regular, bytes.len(), mode);
        Ok(append(self.builder(), header, name, &bytes)?)
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.builder();
        Ok(self.0.map(Builder::into_inner).transpose()?.unwrap_or_default())
    }
}

impl Archive {
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let out = File::create(file).with_context(|| format!("create {}", file.display()))?;
        let mut tar = Builder::new(out);
        let (mut manifests, mut docker) = (Vec::new(), None);
        for image in &self.images {
            let layer = blob(&mut tar, &image.layer, "application/vnd.oci.image.layer.v1.tar")?;
            let config = json!({
                "architecture": image.arch, "os": "linux",
                "config": {
                    "Entrypoint": [image.entrypoint], "Cmd": image.command,
                    "Env": ["PATH=/usr/bin:/bin"], "WorkingDir": "/",
                },
                "rootfs": {"type": "layers", "diff_ids": [layer.get("digest")]},
            });
            let kind = "application/vnd.oci.image.config.v1+json";
            let config = blob(&mut tar, config.to_string().as_bytes(), kind)?;
            docker.get_or_insert_with(|| {
                let tags = [format!("{}:{}", self.name, self.tag)];
                json!([{"Config": path(&config), "RepoTags": tags, "Layers": [path(&layer)]}])
            });
            let kind = "application/vnd.oci.image.manifest.v1+json";
            let manifest =
                json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
            let mut manifest = blob(&mut tar, manifest.to_string().as_bytes(), kind)?;
            let platform = json!({"architecture": image.arch, "os": "linux"});
            set(&mut manifest, "platform", platform);
            manifests.push(manifest);
        }
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
        let mut index = blob(&mut tar, index.to_string().as_bytes(), kind)?;
        let names = json!({
            "io.containerd.image.name": format!("{}:{}", self.name, self.tag),
            "org.opencontainers.image.ref.name": self.tag,
        });
        set(&mut index, "annotations", names);
        let top = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [index]});
        put(&mut tar, "index.json", top.to_string().as_bytes())?;
        put(&mut tar, "manifest.json", docker.unwrap_or_default().to_string().as_bytes())?;
        put(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        tar.finish().context("finish the archive")
    }
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// Writes it, and describes it.
fn blob(tar: &mut Builder<File>, bytes: &[u8], kind: &str) -> Result<Value> {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let descriptor = json!({"mediaType": kind, "digest": format!("sha256:{hex}"), "size": bytes.len()});
    put(tar, &path(&descriptor), bytes)?;
    Ok(descriptor)
}

fn path(descriptor: &Value) -> String {
    let digest = descriptor.get("digest").and_then(Value::as_str).unwrap_or_default();
    format!("blobs/{}", digest.replace(':', "/"))
}

fn put(tar: &mut Builder<File>, name: &str, bytes: &[u8]) -> Result<()> {
    Ok(append(tar, header(EntryType::Regular, bytes.len(), 0o644), name, bytes)?)
}

fn header(kind: EntryType, bytes: usize, mode: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(bytes as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn append<W: std::io::Write>(
    tar: &mut Builder<W>,
    mut header: Header,
    name: &str,
    bytes: &[u8],
) -> std::io::Result<()> {
    tar.append_data(&mut header, name, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, io::Read};

    fn written(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let binary = folder.join("program");
        fs::write(&binary, "a program").unwrap();
        let layer = || {
            let mut layer = Layer::default();
            layer.folder("usr").unwrap();
            layer.file("usr/program", &binary, 0o755).unwrap();
            layer.finish().unwrap()
        };
        let image = |arch| Image { arch, layer: layer(), entrypoint: "/usr/program", command: &["run"] };
        let archive =
            Archive { name: "example.org/a", tag: "1", images: vec![image("amd64"), image("arm64")] };
        let file = folder.join("a.tar");
        archive.write(&file).unwrap();
        let mut tar = tar::Archive::new(File::open(file).unwrap());
        let files = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes)
        });
        files.collect()
    }

    #[test]
    fn every_blob_is_where_its_digest_says_and_every_digest_has_a_blob() {
        let folder = tempfile::tempdir().unwrap();
        let files = written(folder.path());
        let follow = |descriptor: &Value| {
            let bytes = &files[&path(descriptor)];
            assert_eq!(descriptor["size"], bytes.len());
            let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(descriptor["digest"], format!("sha256:{hex}"));
            serde_json::from_slice::<Value>(bytes).unwrap_or_default()
        };
        let top: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let index = follow(&top["manifests"][0]);
        let mut architectures = Vec::new();
        for manifest in index["manifests"].as_array().unwrap() {
            architectures.push(manifest["platform"]["architecture"].as_str().unwrap());
            let manifest = follow(manifest);
            let config = follow(&manifest["config"]);
            follow(&manifest["layers"][0]);
            assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
        }
        assert_eq!(architectures, ["amd64", "arm64"]);
        let docker: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(docker[0]["RepoTags"][0], "example.org/a:1");
        assert!(files.contains_key(docker[0]["Layers"][0].as_str().unwrap()));
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = folders.each_ref().map(|folder| written(folder.path()));
        assert_eq!(one, two);
    }
}
