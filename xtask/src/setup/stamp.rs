//! Knows whether something must be built again.
//!
//! Shape: input files and folders → a number; the number is written beside the result once that is complete. The second
//! run with the same inputs does nothing.
use super::debian;
use anyhow::{Context, Result};
use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The state of a folder of results.
pub(super) struct Stamp {
    file: PathBuf,
    inputs: String,
}

impl Stamp {
    /// `inputs` are files or folders; `tool` is the program that makes the result from them.
    pub(super) fn new(result: &Path, inputs: &[PathBuf], tool: &str) -> Result<Stamp> {
        let mut hasher = DefaultHasher::new();
        identity(tool)?.hash(&mut hasher);
        for input in inputs {
            hash(input, &mut hasher)?;
        }
        Ok(Stamp { file: result.join(".stamp"), inputs: format!("{:016x}", hasher.finish()) })
    }

    /// The result names the folder that it is in: moved, it must be made again.
    pub(super) fn of_this_place(self) -> Stamp {
        let inputs = format!("{} {}", self.inputs, self.file.display());
        Stamp { inputs, ..self }
    }

    /// True if the result must be made: then it counts as incomplete until [`Stamp::write`].
    pub(super) fn is_stale(&self) -> Result<bool> {
        if fs::read_to_string(&self.file).is_ok_and(|written| written == self.inputs) {
            return Ok(false);
        }
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", self.file.display()))
            }
            _ => Ok(true),
        }
    }

    /// The result is complete.
    pub(super) fn write(&self) -> Result<()> {
        fs::write(&self.file, &self.inputs).with_context(|| format!("write {}", self.file.display()))
    }
}

/// Which file a program is. Its version is not asked for: that costs a start, and a runtime in trouble answers otherwise.
fn identity(tool: &str) -> Result<(PathBuf, u64, SystemTime)> {
    let file = debian::find(tool).with_context(|| format!("{tool} is not in the search path"))?;
    let file = file.canonicalize().with_context(|| format!("follow {}", file.display()))?;
    let metadata = file.metadata().with_context(|| format!("look at {}", file.display()))?;
    Ok((file, metadata.len(), metadata.modified()?))
}

/// Names and contents, folders in a stable order.
fn hash(path: &Path, hasher: &mut impl Hasher) -> Result<()> {
    path.file_name().hash(hasher);
    if path.is_file() {
        fs::read(path).with_context(|| format!("read {}", path.display()))?.hash(hasher);
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("read {}", path.display()))?;
    let mut inside = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    inside.sort();
    for path in inside.iter().filter(|path| !path.ends_with("__pycache__")) {
        hash(path, hasher)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_made_again_when_an_input_or_the_tool_changes() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("a"), "1").unwrap();
        let stamp = |tool| Stamp::new(folder.path(), std::slice::from_ref(&source), tool).unwrap();

        assert!(stamp("sh").is_stale().unwrap(), "nothing was built yet");
        stamp("sh").write().unwrap();
        assert!(!stamp("sh").is_stale().unwrap());
        assert!(stamp("cat").is_stale().unwrap());
        assert!(stamp("sh").is_stale().unwrap(), "the build with cat did not come to its end");

        stamp("sh").of_this_place().write().unwrap();
        let moved = Stamp { file: folder.path().join("other/.stamp"), ..stamp("sh") };
        fs::create_dir(folder.path().join("other")).unwrap();
        fs::copy(folder.path().join(".stamp"), &moved.file).unwrap();
        assert!(!stamp("sh").of_this_place().is_stale().unwrap());
        assert!(moved.of_this_place().is_stale().unwrap(), "it names another folder");

        stamp("sh").write().unwrap();
        fs::write(source.join("a"), "2").unwrap();
        assert!(stamp("sh").is_stale().unwrap());
    }
}
