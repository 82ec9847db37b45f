//! TLS by rustls: the platform's roots, and what git's configuration adds to them or takes away.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

use crate::codex::error::RemoteErrorKind;
use crate::codex::remote::failure::Failure;
use crate::paths::shown;

/// Which servers are trusted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trust<'t> {
    /// Those that the platform trusts, and those that the certificates in this file vouch for.
    Verified(Option<&'t Path>),
    /// All (`http.sslVerify=false`, `GIT_SSL_NO_VERIFY`).
    Anyone,
}

/// The settings of every TLS connection of a run.
pub(super) fn config(trust: Trust<'_>) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Verified(file) => Arc::new(verifier(file, provider.clone())?),
        Trust::Anyone => Arc::new(NoVerifier(provider.clone())),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(untrusted)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The failure behind an error of TLS.
pub(super) fn untrusted(error: Error) -> Failure {
    let detail = match error {
        Error::InvalidCertificate(reason) => {
            format!("the server's certificate is not valid: {reason}")
        }
        error => format!("TLS: {error}"),
    };
    Failure::new(RemoteErrorKind::Tls, detail)
}

fn verifier(
    file: Option<&Path>,
    provider: Arc<CryptoProvider>,
) -> Result<PlatformAndFile, Failure> {
    let named = match file {
        Some(file) => certificates(file)?,
        None => Vec::new(),
    };
    // A certificate that is no authority, or that rustls cannot read, is none of the roots.
    let mut roots = rustls::RootCertStore::empty();
    let usable: Vec<_> = named
        .iter()
        .filter(|certificate| roots.add((*certificate).clone()).is_ok())
        .cloned()
        .collect();
    let platform = Verifier::new_with_extra_roots(usable, provider).map_err(untrusted)?;
    Ok(PlatformAndFile { platform, named })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        let detail = format!("cannot read the certificates in `{}`: {error}", shown(file));
        Failure::new(RemoteErrorKind::Tls, detail)
    };
    let found = CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))?;
    found
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&error))
}

/// The platform's verifier, which also accepts a server whose own certificate the user named in `http.sslCAInfo`.
///
/// OpenSSL marks self-signed certificates as authorities by default. git accepts one that is named; webpki refuses any
/// authority as a server's certificate, after it has checked its dates.
#[derive(Debug)]
struct PlatformAndFile {
    platform: Verifier,
    named: Vec<CertificateDer<'static>>,
}

impl PlatformAndFile {
    fn is_named(&self, certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
        let listed = self.named.iter().any(|named| named == certificate);
        listed
            && ParsedCertificate::try_from(certificate)
                .is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }
}

/// Whether the only thing wrong with a server's certificate is that it is one of an authority.
fn is_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            format!("{other:?}").contains("CaUsedAsEndEntity")
        }
        _ => false,
    }
}

impl ServerCertVerifier for PlatformAndFile {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.platform
                .verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verified {
            Err(error) if is_authority(&error) && self.is_named(certificate, name) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.platform.supported_verify_schemes()
    }
}

/// Accepts every certificate, as the user demanded.
#[derive(Debug)]
struct NoVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
