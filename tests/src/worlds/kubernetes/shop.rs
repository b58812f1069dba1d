//! The shop as Deployments: four unchanged services in four languages.
//!
//! Shape: a namespace and a first port → YAML to apply; a checkout through the node. Their containers are almost empty and have this
//! machine's programs mounted, because no base image can be fetched. The services listen on loopback: the pods share the node's network.
use crate::{
    cluster::Cluster,
    process::output,
    wait::{PATIENCE, eventually},
    world::repository,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// In the order in which a checkout meets them.
pub(super) const SERVICES: [&str; 4] = ["frontend", "product", "order", "inventory"];
/// Spans of a checkout: five requests are answered, and four of them are made by services.
pub(super) const CHECKOUT_SPANS: usize = 9;
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
        cluster
            .api()
            .apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}"))?;
        let shop = Shop { namespace: namespace.to_owned(), first_port };
        account(cluster, namespace)?;
        for (n, name) in SERVICES.iter().enumerate() {
            cluster.api().apply(&shop.deployment(name, n)?.to_string())?;
        }
        for (n, name) in SERVICES.iter().enumerate() {
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
        let body = r#"{"product":1,"quantity":1}"#;
        self.ask(cluster, 0, &[&path(cart), "-H", "Content-Type: application/json", "-d", body])
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

    fn deployment(&self, name: &str, n: usize) -> Result<Value> {
        let cache = repository()?.join(".cache/shop").canonicalize()?;
        let (program, arguments) = program(name, &cache);
        ensure!(cache.join(name).is_dir(), "the shop is not built: run `cargo xtask setup`");
        let mut environment = vec![
            json!({"name": "PORT", "value": self.port(n)?.to_string()}),
            json!({"name": "PATH", "value": std::env::var_os("PATH").unwrap_or_default().to_string_lossy()}),
        ];
        for (n, name) in SERVICES.iter().enumerate() {
            let (name, value) =
                (format!("{}_URL", name.to_uppercase()), format!("http://127.0.0.1:{}", self.port(n)?));
            environment.push(json!({"name": name, "value": value}));
        }
        let folders = folders(&cache)?;
        let mounts = folders.iter().enumerate();
        let mounts =
            mounts.map(|(n, path)| json!({"name": format!("v{n}"), "mountPath": path, "readOnly": true}));
        let volumes = folders.iter().enumerate();
        let volumes = volumes.map(|(n, path)| json!({"name": format!("v{n}"), "hostPath": {"path": path}}));
        let command: Vec<&str> = [program.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        let labels = json!({"app": name});
        Ok(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"namespace": self.namespace, "name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "hostNetwork": true,
                        "automountServiceAccountToken": false,
                        "containers": [{
                            "name": "main", "image": "wirespan.io/world:1", "imagePullPolicy": "Never",
                            "command": command, "workingDir": cache.join(name), "env": environment,
                            "volumeMounts": mounts.collect::<Vec<_>>(),
                        }],
                        "volumes": volumes.collect::<Vec<_>>(),
                    },
                },
            },
        }))
    }
}

/// The path of a checkout.
pub(super) fn path(cart: u32) -> String {
    format!("/checkout/{cart}")
}

/// A namespace's own account comes a moment after it, and pods are refused until then.
pub(super) fn account(cluster: &Cluster, namespace: &str) -> Result<()> {
    let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
    eventually(&format!("the service account of {namespace}"), PATIENCE, || cluster.api().get(&account))
        .map(drop)
}

fn program(name: &str, cache: &Path) -> (String, &'static [&'static str]) {
    match name {
        "frontend" => ("node".to_owned(), &["server.js"]),
        "product" => {
            let gunicorn = cache.join("product/venv/bin/gunicorn");
            (gunicorn.display().to_string(), &["--config", "gunicorn.conf.py", "app:app"])
        }
        "order" => (
            "java".to_owned(),
            &["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx96m", "-jar", "order.jar"],
        ),
        _ => (cache.join("inventory/inventory").display().to_string(), &[]),
    }
}

/// Folders of this machine in which the services' programs and libraries are.
fn folders(cache: &Path) -> Result<Vec<PathBuf>> {
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
