//! Speaks to the API server as a person with `kubectl` would, object by object.
//!
//! Shape: a path → JSON; YAML of several objects → applied on the server's side, with every field known to it.
//! Source: kubernetes.io/docs/reference/using-api/server-side-apply, v1.36.
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::Value;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::runtime::{Builder, Runtime};

/// No answer is awaited longer.
const WITHIN: Duration = Duration::from_secs(20);
/// Who owns the fields that worlds apply.
const MANAGER: &str = "fieldManager=worlds";

/// A client with one token.
#[derive(Debug)]
pub struct Api {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Runtime,
    base: String,
    token: String,
}

/// An object as it was applied.
#[derive(Clone, Debug)]
pub struct Object(pub Value);

impl Object {
    /// Every object of a YAML text.
    pub fn all(yaml: &str) -> Result<Vec<Object>> {
        let documents = yaml.split("\n---").map(|text| text.trim_start_matches('-'));
        let mut objects = Vec::new();
        for text in documents {
            if text.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
                continue;
            }
            let object = serde_saphyr::from_str(text).with_context(|| format!("read {text}"))?;
            objects.push(Object(object));
        }
        Ok(objects)
    }

    /// `Deployment`, for instance.
    pub fn kind(&self) -> &str {
        self.0.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        name(&self.0)
    }

    /// Where it is, unless it belongs to the whole cluster.
    pub fn namespace(&self) -> Option<&str> {
        self.0.pointer("/metadata/namespace")?.as_str()
    }

    fn version(&self) -> &str {
        self.0.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
    }
}

pub(super) fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

impl Api {
    pub(super) fn new(address: &str, authority: &Path, token: &str) -> Result<Api> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).context("read the authority")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        Ok(Api {
            client: Client::builder(TokioExecutor::new()).build(connector),
            runtime: Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
            base: format!("https://{address}"),
            token: token.to_owned(),
        })
    }

    /// Does it serve?
    pub fn is_ready(&self) -> bool {
        self.ask(Method::GET, "/readyz", "", "").is_ok_and(|(status, _)| status == StatusCode::OK)
    }

    /// What is at the path; none if nothing is.
    pub fn get(&self, path: &str) -> Result<Option<Value>> {
        let (status, body) = self.ask(Method::GET, path, "", "")?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        understood(path, status, &body).map(Some)
    }

    /// Makes a new object in a list.
    pub fn create(&self, path: &str, object: &Value) -> Result<()> {
        let (status, body) = self.ask(Method::POST, path, "application/json", &object.to_string())?;
        understood(path, status, &body).map(drop)
    }

    /// Changes a few fields (RFC 7396).
    pub fn merge(&self, path: &str, patch: &Value) -> Result<Value> {
        let body = patch.to_string();
        let (status, body) = self.ask(Method::PATCH, path, "application/merge-patch+json", &body)?;
        understood(path, status, &body)
    }

    /// Asks for an end; what is gone already is no error.
    pub fn delete(&self, path: &str) -> Result<()> {
        let (status, body) = self.ask(Method::DELETE, path, "", "")?;
        if status == StatusCode::NOT_FOUND { Ok(()) } else { understood(path, status, &body).map(drop) }
    }

    /// Applies every object of a YAML text, in its order.
    pub fn apply(&self, yaml: &str) -> Result<Vec<Object>> {
        Object::all(yaml)?.into_iter().map(|object| self.apply_one(&object, "")).collect()
    }

    /// Would the server take it? Nothing is kept.
    pub fn admit(&self, object: &Object) -> Result<Object> {
        self.apply_one(object, "&dryRun=All")
    }

    fn apply_one(&self, object: &Object, more: &str) -> Result<Object> {
        let query = format!("?{MANAGER}&force=true&fieldValidation=Strict{more}");
        let path = self.path_of(object)? + &query;
        let kind = "application/apply-patch+yaml";
        let (status, body) = self.ask(Method::PATCH, &path, kind, &object.0.to_string())?;
        understood(&path, status, &body).map(Object)
    }

    /// Where an object is, by what the server says of its kind.
    pub fn path_of(&self, object: &Object) -> Result<String> {
        let version = object.version();
        let root = if version.contains('/') { "/apis" } else { "/api" };
        let list = self.get(&format!("{root}/{version}"))?.with_context(|| format!("no API {version}"))?;
        let rows = list.get("resources").and_then(Value::as_array).context("resources")?;
        let is_it = |row: &&Value| {
            row.get("kind").and_then(Value::as_str) == Some(object.kind()) && !name_of_row(row).contains('/')
        };
        let row = rows.iter().find(is_it).with_context(|| format!("no kind {}", object.kind()))?;
        let is_namespaced = row.get("namespaced") == Some(&Value::Bool(true));
        ensure!(
            object.namespace().is_some() == is_namespaced,
            "{} {} must say its namespace, or has none",
            object.kind(),
            object.name()
        );
        let place = object.namespace().map(|name| format!("/namespaces/{name}")).unwrap_or_default();
        Ok(format!("{root}/{version}{place}/{}/{}", name_of_row(row), object.name()))
    }

    fn ask(&self, method: Method, path: &str, kind: &str, body: &str) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        request = request.header("authorization", format!("Bearer {}", self.token));
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned())))?;
        let exchange = async {
            let answer = self.client.request(request).await?;
            let status = answer.status();
            Ok((status, answer.into_body().collect().await?.to_bytes()))
        };
        self.runtime.block_on(async { tokio::time::timeout(WITHIN, exchange).await })?
    }
}

fn name_of_row(row: &Value) -> &str {
    row.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn understood(path: &str, status: StatusCode, body: &[u8]) -> Result<Value> {
    if !status.is_success() {
        bail!("{path}: {status}: {}", String::from_utf8_lossy(body).trim());
    }
    serde_json::from_slice(body).with_context(|| format!("read the answer of {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_its_objects() {
        let text = "# a comment\n---\nkind: A\nmetadata: {name: one}\n---\n# nothing\n---\nkind: B\nmetadata: {name: two, namespace: c}\n";
        let objects = Object::all(text).unwrap();
        let told: Vec<_> =
            objects.iter().map(|object| (object.kind(), object.name(), object.namespace())).collect();
        assert_eq!(told, [("A", "one", None), ("B", "two", Some("c"))]);
    }
}
