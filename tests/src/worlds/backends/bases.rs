//! What the demo takes from registries, made of this machine's programs: no registry can be reached where the worlds run.
//!
//! Shape: the names in `FROM` and `image:` → an image of each under that very name, with what the demo needs of it where the published one
//! has it. Not here: the demo's own images, which are built on these from their Dockerfiles; what else the published ones hold.
use super::super::engine::Engine;
use crate::{
    process::output,
    world::{World, repository},
};
use anyhow::{Context, Result, ensure};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

/// An image to be.
struct Base {
    /// As registries have it, without its tag.
    name: &'static str,
    /// What is inside.
    fill: fn(&Root) -> Result<()>,
    /// What its Dockerfile says of a container.
    lines: &'static [&'static str],
}

const JAVA: &str = "ENV PATH=/opt/java/openjdk/bin:/usr/local/bin:/usr/bin:/bin JAVA_HOME=/opt/java/openjdk";

const BASES: [Base; 8] = [
    Base { name: "curlimages/curl", fill: |root| root.commands(&["sh", "sleep", "curl"]), lines: &[] },
    Base {
        name: "otel/opentelemetry-collector",
        fill: |root| root.file(&cached("otelcol-backends/otelcol")?, "/otelcol"),
        lines: &["USER 10001", r#"ENTRYPOINT ["/otelcol"]"#],
    },
    Base {
        name: "jaegertracing/jaeger",
        fill: |root| root.file(&cached("backends/jaeger/jaeger")?, "/cmd/jaeger/jaeger-linux"),
        lines: &["USER 10001", r#"ENTRYPOINT ["/cmd/jaeger/jaeger-linux"]"#],
    },
    Base { name: "golang", fill: go, lines: &["ENV PATH=/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin"] },
    Base { name: "node", fill: node, lines: &["ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt"] },
    Base { name: "python", fill: python, lines: &["ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt"] },
    Base { name: "eclipse-temurin", fill: java, lines: &[JAVA] },
    Base { name: "maven", fill: |root| java(root).and_then(|()| maven(root)), lines: &[JAVA] },
];

/// What `RUN` and the tools' own scripts start.
const COMMANDS: [&str; 12] =
    ["sh", "cat", "dirname", "basename", "env", "expr", "head", "ls", "mkdir", "rm", "sed", "uname"];
/// Whom this machine trusts: it may reach the packages' registries through a proxy of its own.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Whom the demo's Dockerfiles name.
const USERS: &str = "root:x:0:0::/root:\nnode:x:1000:1000::/tmp:\nnobody:x:65534:65534::/tmp:\n";
/// Nothing runs of these; they are most of what a runtime weighs.
const LEFT_OUT: [&str; 8] =
    ["__pycache__", "dist-packages", "jmods", "man", "site-packages", "src.zip", "test", "testdata"];

/// Makes all that the demo names.
pub(super) fn import(world: &World, engine: &Engine) -> Result<()> {
    for image in wanted()? {
        let name = image.split(':').next().unwrap_or_default();
        let base = BASES.iter().find(|base| base.name == name);
        let base = base.with_context(|| format!("nothing stands in for {image}"))?;
        let root = Root::new(world.scratch().join("base"))?;
        (base.fill)(&root).with_context(|| format!("what stands in for {image}"))?;
        engine.import_as(&root.0, &image, base.lines)?;
        fs::remove_dir_all(&root.0).context("remove an image's folder")?;
    }
    Ok(())
}

/// Names in the demo's files, but for the demo's own.
fn wanted() -> Result<Vec<String>> {
    let folder = repository()?.join("deploy/demo");
    let mut files = vec![folder.join("compose.yaml")];
    for entry in fs::read_dir(folder.join("shop"))? {
        files.push(entry?.path());
    }
    let mut images = Vec::new();
    for file in files {
        for line in fs::read_to_string(&file)?.lines().map(str::trim) {
            let named = line.strip_prefix("FROM ").or_else(|| line.strip_prefix("image: "));
            let image = named.and_then(|named| named.split(' ').next()).unwrap_or("scratch");
            if image != "scratch" && !image.starts_with("wirespan.io/") {
                ensure!(image.contains(':'), "{}: {image} has no version", file.display());
                images.push(image.to_owned());
            }
        }
    }
    images.sort();
    images.dedup();
    Ok(images)
}

/// A folder that becomes an image.
struct Root(PathBuf);

impl Root {
    fn new(folder: PathBuf) -> Result<Root> {
        let root = Root(folder);
        fs::create_dir_all(root.path("/tmp"))?;
        mode(&root.path("/tmp"), 0o1777)?;
        root.write("/etc/passwd", USERS)?;
        Ok(root)
    }

    /// Where a path of the image is now.
    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path.as_ref().strip_prefix("/").unwrap_or(path.as_ref()))
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.path(path);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    /// A file and the libraries that it needs, those where this machine has them.
    fn file(&self, from: &Path, to: &str) -> Result<()> {
        copy(from, &self.path(to))?;
        // Exit code 1: not for the dynamic loader.
        let libraries = Command::new("ldd").arg(from).output().context("start ldd")?;
        for library in String::from_utf8_lossy(&libraries.stdout).split_whitespace() {
            if library.starts_with('/') && !self.path(library).exists() {
                copy(Path::new(library), &self.path(library))?;
            }
        }
        Ok(())
    }

    /// A folder, with the libraries that the libraries in it need.
    fn folder(&self, from: &Path, to: &str) -> Result<()> {
        for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, to) = (entry.path(), format!("{to}/{name}"));
            // Links are followed; some of Debian's lead to packages that are not installed.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            match metadata.is_dir() {
                _ if LEFT_OUT.contains(&name.as_str()) => {}
                true => self.folder(&path, &to)?,
                false if name.contains(".so") => self.file(&path, &to)?,
                false => copy(&path, &self.path(&to))?,
            }
        }
        Ok(())
    }

    fn commands(&self, names: &[&str]) -> Result<()> {
        for name in names {
            self.file(&which(name)?, &format!("/bin/{name}"))?;
        }
        Ok(())
    }

    /// For images in which something is built: a shell, and whom to trust.
    fn tools(&self) -> Result<()> {
        self.commands(&COMMANDS)?;
        self.file(&which("env")?, "/usr/bin/env")?;
        copy(Path::new(ROOTS), &self.path(ROOTS))
    }
}

fn go(root: &Root) -> Result<()> {
    root.tools()?;
    let (folder, _) = output(Command::new("go").args(["env", "GOROOT"]), 0)?;
    root.folder(Path::new(folder.trim()), "/usr/local/go")
}

fn node(root: &Root) -> Result<()> {
    root.tools()?;
    root.file(&which("node")?, "/usr/local/bin/node")?;
    // Debian's npm has its modules beside it.
    let npm = which("npm")?;
    let modules =
        npm.ancestors().find(|folder| folder.ends_with("node_modules") || folder.ends_with("nodejs"));
    let modules = modules.with_context(|| format!("{} is in no folder of modules", npm.display()))?;
    let at = modules.display().to_string();
    root.folder(&modules.join("npm"), &format!("{at}/npm"))?;
    symlink(&npm, root.path("/usr/local/bin/npm")).context("link npm")
}

fn python(root: &Root) -> Result<()> {
    root.tools()?;
    let ask = "import sys, sysconfig; print(sys.executable, sysconfig.get_path('stdlib'), '%d.%d' % sys.version_info[:2])";
    let (told, _) = output(Command::new("python3").args(["-c", ask]), 0)?;
    let mut told = told.split_whitespace();
    let (Some(program), Some(library), Some(version)) = (told.next(), told.next(), told.next()) else {
        anyhow::bail!("python3 does not say where it is");
    };
    let name = format!("/usr/local/bin/python{version}");
    let modules = format!("/usr/local/lib/python{version}");
    root.file(&Path::new(program).canonicalize()?, &name)?;
    symlink(&name, root.path("/usr/local/bin/python3")).context("link python3")?;
    root.folder(Path::new(library), &modules)?;
    let pip = cached("shop/product/venv/lib")?.join(format!("python{version}/site-packages/pip"));
    root.folder(&pip, &format!("{modules}/site-packages/pip"))?;
    root.write("/usr/local/bin/pip", "#!/bin/sh\nexec python3 -m pip \"$@\"\n")?;
    mode(&root.path("/usr/local/bin/pip"), 0o755)
}

fn java(root: &Root) -> Result<()> {
    let java = which("java")?;
    let home = java.ancestors().nth(2).context("java is in a folder of bin")?;
    root.commands(&["sh"])?;
    root.file(&java, "/opt/java/openjdk/bin/java")?;
    root.folder(home, "/opt/java/openjdk")
}

fn maven(root: &Root) -> Result<()> {
    root.tools()?;
    let mvn = which("mvn")?;
    let home = mvn.ancestors().nth(2).context("mvn is in a folder of bin")?;
    root.folder(home, "/usr/share/maven")?;
    fs::create_dir_all(root.path("/usr/bin"))?;
    symlink("/usr/share/maven/bin/mvn", root.path("/usr/bin/mvn")).context("link mvn")
}

/// The program itself, not a link to it.
fn which(name: &str) -> Result<PathBuf> {
    let (found, _) = output(Command::new("which").arg(name), 0)?;
    Path::new(found.trim()).canonicalize().with_context(|| format!("follow {name}"))
}

/// What `cargo xtask setup` and the back ends' setup have built.
fn cached(path: &str) -> Result<PathBuf> {
    let path = repository()?.join(".cache").join(path);
    ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
    fs::copy(from, to).with_context(|| format!("copy {}", from.display())).map(drop)
}

fn mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("chmod {}", path.display()))
}
