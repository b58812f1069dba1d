//! TLS over both protocols: whom the agent trusts, and who it says it is.
use super::{
    super::*,
    ANYWHERE, COLLECTORS, Way, counter,
    fake::{Collector, Received},
    otlp, resources, span,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{fs, path::PathBuf};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// An authority and what it has signed, in files.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    fn new() -> Certificates {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let certificates = Certificates { folder: tempfile::tempdir().unwrap() };
        fs::write(certificates.path("ca.pem"), authority.pem()).unwrap();
        for name in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            fs::write(certificates.path(&format!("{name}.pem")), certificate.pem()).unwrap();
            fs::write(certificates.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        certificates
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A receiver that wants a client's certificate, or not.
    fn acceptor(&self, wants_client: bool) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.unwrap().with_client_cert_verifier(verifier)
        } else {
            builder.unwrap().with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(self.path("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

fn settings(way: Way, port: u16) -> Settings {
    let otlp = Otlp {
        initial_backoff: Duration::from_millis(5),
        max_backoff: Duration::from_millis(5),
        ..otlp(way, "https", port)
    };
    Settings { exporters: vec![Kind::Otlp], otlp, batch: Batch::default(), console: Console::default() }
}

/// Sends one span and ends: how many arrived, how many attempts failed.
async fn send(settings: &Settings) -> (u64, u64) {
    let handle = start(settings).unwrap();
    handle.send(vec![span(0)], &mut resources());
    let rows = handle.shutdown(Duration::from_secs(10)).await;
    (counter(&rows, "exported"), counter(&rows, "retries"))
}

#[tokio::test]
async fn a_receiver_whose_certificate_the_named_authority_has_signed_is_trusted() {
    let certificates = Certificates::new();
    for way in COLLECTORS {
        let received = Received::default();
        let collector =
            Collector::start_with(ANYWHERE, received.clone(), Some(certificates.acceptor(false))).await;
        let mut settings = settings(way, collector.address.port());
        settings.otlp.certificate = Some(certificates.path("ca.pem"));
        assert_eq!(send(&settings).await, (1, 0), "{way:?}");
        assert_eq!(received.names(), ["0"], "{way:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_nobody_vouches_for_gets_nothing() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    for way in COLLECTORS {
        let received = Received::default();
        let collector =
            Collector::start_with(ANYWHERE, received.clone(), Some(certificates.acceptor(false))).await;
        let mut settings = settings(way, collector.address.port());
        settings.otlp.certificate = Some(others.path("ca.pem"));
        let (exported, retries) = send(&settings).await;
        assert_eq!((exported, retries > 0), (0, true), "{way:?}");
        assert_eq!(received.with(|log| log.attempts), 0, "{way:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_wants_to_know_the_client_is_shown_its_certificate() {
    let certificates = Certificates::new();
    for way in COLLECTORS {
        let received = Received::default();
        let collector =
            Collector::start_with(ANYWHERE, received.clone(), Some(certificates.acceptor(true))).await;
        let mut settings = settings(way, collector.address.port());
        settings.otlp.certificate = Some(certificates.path("ca.pem"));
        assert_eq!(send(&settings).await.0, 0, "{way:?}");
        settings.otlp.client = Some((certificates.path("client.pem"), certificates.path("client.key")));
        assert_eq!(send(&settings).await, (1, 0), "{way:?}");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_before_anything_starts() {
    let certificates = Certificates::new();
    for way in [Way::Grpc, Way::Http] {
        let refused = |change: &dyn Fn(&mut Otlp)| {
            let mut settings = settings(way, 1);
            settings.otlp.certificate = Some(certificates.path("ca.pem"));
            change(&mut settings.otlp);
            start(&settings).err().unwrap().to_string()
        };
        let absent = certificates.path("absent.pem");
        let message = refused(&|otlp| otlp.certificate = Some(absent.clone()));
        assert_eq!(message, format!("cannot read {}", absent.display()), "{way:?}");
        let message = refused(&|otlp| otlp.certificate = Some(certificates.path("server.key")));
        assert!(message.ends_with("server.key is not PEM of the kind that is needed"), "{way:?}: {message}");
        let message = refused(&|otlp| otlp.client = Some((certificates.path("client.pem"), absent.clone())));
        assert_eq!(message, format!("cannot read {}", absent.display()), "{way:?}");
    }
}
