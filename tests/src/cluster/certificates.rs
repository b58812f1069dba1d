//! Who is who in the cluster: an authority, the API server's certificate, a key for service accounts, tokens for the rest.
//!
//! Shape: a folder → files in it. Nothing outlives the world.
use super::{NODE, NODE_ADDRESS, SERVICE_ADDRESS};
use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The token of somebody with all rights.
pub(super) const ADMIN: &str = "token-of-the-admin";
/// The token of the controllers and the scheduler.
pub(super) const CONTROL: &str = "token-of-the-controllers";
/// The token of an agent outside the cluster.
pub(super) const AGENT: &str = "token-of-the-agent";
/// The node's token.
pub(super) const KUBELET: &str = "token-of-the-kubelet";

/// Files that prove something.
#[derive(Debug)]
pub(super) struct Certificates {
    folder: PathBuf,
    /// Who has signed the API server's certificate (PEM).
    pub(super) authority: PathBuf,
    /// The API server's certificate (PEM).
    pub(super) server: PathBuf,
    /// Its key.
    pub(super) server_key: PathBuf,
    /// Signs the tokens of service accounts.
    pub(super) accounts_key: PathBuf,
    /// Verifies them.
    pub(super) accounts_public: PathBuf,
    /// Tokens of everybody else, as `--token-auth-file` wants them.
    pub(super) tokens: PathBuf,
}

impl Certificates {
    pub(super) fn write(folder: &Path) -> Result<Certificates> {
        let file = |name: &str| folder.join(name);
        let certificates = Certificates {
            folder: folder.to_path_buf(),
            authority: file("ca.pem"),
            server: file("apiserver.pem"),
            server_key: file("apiserver.key"),
            accounts_key: file("accounts.key"),
            accounts_public: file("accounts.pub"),
            tokens: file("tokens.csv"),
        };
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a cluster of a test");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(&certificates.authority, authority.pem())?;
        let names = ["kubernetes", "kubernetes.default.svc", NODE_ADDRESS, SERVICE_ADDRESS, "127.0.0.1"];
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(names.map(str::to_owned).to_vec())?;
        let server = params.signed_by(&key, &authority)?;
        fs::write(&certificates.server, server.pem())?;
        fs::write(&certificates.server_key, key.serialize_pem())?;
        let accounts = KeyPair::generate()?;
        fs::write(&certificates.accounts_key, accounts.serialize_pem())?;
        fs::write(&certificates.accounts_public, accounts.public_key_pem())?;
        let tokens = format!(
            "{ADMIN},admin,1,system:masters\n{CONTROL},control,2,system:masters\n{KUBELET},system:node:{NODE},3,system:nodes\n{AGENT},agent,4,\n"
        );
        fs::write(&certificates.tokens, tokens)?;
        Ok(certificates)
    }

    /// How a program speaks to the API server.
    pub(super) fn kubeconfig(&self, name: &str, server: &str, token: &str) -> Result<PathBuf> {
        let file = self.folder.join(format!("{name}.kubeconfig"));
        let authority = self.authority.display();
        let text = format!(
            "apiVersion: v1
kind: Config
clusters: [{{name: world, cluster: {{server: 'https://{server}', certificate-authority: '{authority}'}}}}]
users: [{{name: {name}, user: {{token: {token}}}}}]
contexts: [{{name: world, context: {{cluster: world, user: {name}}}}}]
current-context: world
"
        );
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        Ok(file)
    }
}
