//! The shop as Deployments: four unchanged services in four languages.
//!
//! Shape: a namespace and a first port → YAML to apply; a checkout through the node. Their containers are almost empty and have this
//! machine's programs mounted, because no base image can be fetched. The services listen on loopback: the pods share the node's network.
use crate::{
    cluster::Cluster,
    process::output,
    shop::{ORDER, Program, path, programs},
    wait::{PATIENCE, eventually},
    world::repository,
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// A JVM on a busy machine is slow.
const OPENING: Duration = Duration::from_secs(120);

/// One shop, open.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) namespace: String,
    first_port: u16,
}

impl Shop {
    /// Deploys it and waits until every service answers.
    pub(super) fn open(cluster: &Cluster, namespace: &str, first_port: u16) -> Result<Shop> {
        let shop = Shop { namespace: namespace.to_owned(), first_port };
        make(cluster, namespace)?;
        let cache = repository()?.join(".cache/shop").canonicalize()?;
        let programs = programs(&cache)?;
        for (n, program) in programs.iter().enumerate() {
            let environment = shop.environment(&programs, n)?;
            let deployment = deployment(namespace, program, &environment, &folders(&cache)?);
            cluster.api().apply(&deployment.to_string())?;
        }
        for (n, Program { name, .. }) in programs.iter().enumerate() {
            cluster.running_pod(namespace, name)?;
            eventually(&format!("{name} in {namespace} to answer"), OPENING, || {
                Ok(shop.ask(cluster, n, &["/healthz"]).ok())
            })
            .with_context(|| cluster.log(namespace, name).lines().join("\n"))?;
        }
        Ok(shop)
    }

    /// Checks out with that number in the path.
    pub(super) fn checkout(&self, cluster: &Cluster, cart: u32) -> Result<()> {
        self.ask(cluster, 0, &[&path(cart), "-H", "Content-Type: application/json", "-d", ORDER])
    }

    fn ask(&self, cluster: &Cluster, service: usize, words: &[&str]) -> Result<()> {
        let (path, rest) = words.split_first().context("a path")?;
        let mut curl = cluster.room().command("curl")?;
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "10"]).args(rest);
        output(curl.arg(format!("http://127.0.0.1:{}{path}", self.port(service)?)), 0).map(drop)
    }

    fn port(&self, service: usize) -> Result<u16> {
        Ok(self.first_port + u16::try_from(service)?)
    }

    fn environment(&self, programs: &[Program], n: usize) -> Result<Vec<Value>> {
        let mut environment =
            vec![json!({"name": "PORT", "value": self.port(n)?.to_string()}), search_path()];
        for (n, program) in programs.iter().enumerate() {
            let url = format!("http://127.0.0.1:{}", self.port(n)?);
            environment.push(json!({"name": program.address(), "value": url}));
        }
        Ok(environment)
    }
}

/// One pod of this machine's programs, on the node's network.
pub(super) fn deployment(
    namespace: &str,
    program: &Program,
    environment: &[Value],
    folders: &[PathBuf],
) -> Value {
    let mounts = folders.iter().enumerate();
    let mounts =
        mounts.map(|(n, path)| json!({"name": format!("v{n}"), "mountPath": path, "readOnly": true}));
    let volumes = folders.iter().enumerate();
    let volumes = volumes.map(|(n, path)| json!({"name": format!("v{n}"), "hostPath": {"path": path}}));
    let labels = json!({"app": program.name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": program.name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostNetwork": true,
                    "automountServiceAccountToken": false,
                    "containers": [{
                        "name": "main", "image": "wirespan.io/world:1", "imagePullPolicy": "Never",
                        "command": program.command, "workingDir": program.folder, "env": environment,
                        "volumeMounts": mounts.collect::<Vec<_>>(),
                    }],
                    "volumes": volumes.collect::<Vec<_>>(),
                },
            },
        },
    })
}

/// Makes a namespace in which pods are taken.
pub(super) fn make(cluster: &Cluster, namespace: &str) -> Result<()> {
    cluster.api().apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}"))?;
    account(cluster, namespace)
}

/// A namespace's own account comes a moment after it, and pods are refused until then.
pub(super) fn account(cluster: &Cluster, namespace: &str) -> Result<()> {
    let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
    eventually(&format!("the service account of {namespace}"), PATIENCE, || cluster.api().get(&account))
        .map(drop)
}

/// The variable by which programs find others.
pub(super) fn search_path() -> Value {
    json!({"name": "PATH", "value": std::env::var_os("PATH").unwrap_or_default().to_string_lossy()})
}

/// Folders of this machine in which the services' programs and libraries are.
pub(super) fn folders(cache: &Path) -> Result<Vec<PathBuf>> {
    let prefix = "import sys; print(sys.base_prefix)";
    let (python, _) = output(Command::new("python3").args(["-c", prefix]), 0)?;
    let mut folders: BTreeSet<PathBuf> = ["/bin", "/etc", "/lib", "/lib64", "/usr"].map(PathBuf::from).into();
    folders.insert(cache.to_path_buf());
    let python = PathBuf::from(python.trim());
    if !python.starts_with("/usr") {
        folders.insert(python);
    }
    folders.retain(|folder| folder.is_dir());
    Ok(folders.into_iter().collect())
}
