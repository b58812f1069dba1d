//! Certificates for OTLP: the same files mean the same over gRPC and HTTP.
//!
//! Shape: settings → what tonic wants, or what rustls wants. Roots are those of the file if one is given, else the system's.
//! Not here: switching verification off.
use super::settings::Otlp;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is not PEM of the kind that is needed")]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The system has none.
    #[error("the system has no trusted certificates; name a file of them")]
    NoRoots,
    /// Roots, certificate and key do not fit.
    #[error("the certificates cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// For tonic.
pub(super) fn of_grpc(otlp: &Otlp) -> Result<ClientTlsConfig, TlsError> {
    let mut config = ClientTlsConfig::new();
    config = match &otlp.certificate {
        Some(path) => {
            roots(otlp)?;
            config.ca_certificate(Certificate::from_pem(read(path)?))
        }
        None => config.with_native_roots(),
    };
    if let Some((certificate, key)) = &otlp.client {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(config)
}

/// For hyper, whose connector wants a configuration even if it `is_used` for nothing: then it trusts nobody.
pub(super) fn of_http(otlp: &Otlp, is_used: bool) -> Result<ClientConfig, TlsError> {
    let roots = if is_used { roots(otlp)? } else { RootCertStore::empty() };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    if !is_used {
        return Ok(builder.with_no_client_auth());
    }
    let Some((certificate, key)) = &otlp.client else {
        return Ok(builder.with_no_client_auth());
    };
    let broken = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(broken(key))?;
    Ok(builder.with_client_auth_cert(certificates(certificate)?, private)?)
}

fn roots(otlp: &Otlp) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match &otlp.certificate {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoRoots);
            }
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let broken = |source| TlsError::Pem { path: path.to_owned(), source };
    let found =
        CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>().map_err(broken)?;
    if found.is_empty() { Err(broken(pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
