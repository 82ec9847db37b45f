//! TLS by rustls, with the trust that git's configuration asks for.
//!
//! git's own TLS library decides about a few servers that rustls does not accept: then the failure
//! is [`Failure::NeedsGit`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier as PlatformVerifier;

use crate::codex::remote::error::RemoteErrorKind;
use crate::codex::remote::native::failure::Failure;
use crate::paths::shown;

/// The servers whose certificates are trusted.
#[derive(Debug, Clone)]
pub(super) enum Trust {
    /// Servers with a certificate of one of the platform's authorities.
    Platform,
    /// Servers with a certificate of an authority in this file, or with one that is in the file
    /// itself (`http.sslCAInfo`).
    File(PathBuf),
    /// All servers (`http.sslVerify=false`, `GIT_SSL_NO_VERIFY`).
    All,
}

/// The settings of every TLS connection to a server.
pub(super) fn config(trust: &Trust) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(default_provider());
    let trusted = match trust {
        Trust::Platform => {
            Trusted::Platform(PlatformVerifier::new(provider.clone()).map_err(failure)?)
        }
        Trust::File(file) => Trusted::File(Authorities::read(file, provider.clone())?),
        Trust::All => Trusted::All,
    };
    let verifier = Verifier {
        trusted,
        provider: provider.clone(),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failure)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The failure behind an error of TLS.
pub(super) fn failure(error: Error) -> Failure {
    let detail = match error {
        Error::InvalidCertificate(reason) => {
            let detail = format!("the server's certificate is not valid: {}", text(&reason));
            if is_for_git(&reason) {
                return Failure::NeedsGit(detail);
            }
            detail
        }
        Error::PeerIncompatible(_)
        | Error::AlertReceived(
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity,
        ) => {
            return Failure::NeedsGit(format!(
                "the server supports no TLS version or cipher of this program: {error}"
            ));
        }
        error => format!("TLS: {error}"),
    };
    Failure::new(RemoteErrorKind::Tls, detail)
}

/// A reason in words. rustls prints those of webpki and ours as Rust values.
fn text(reason: &CertificateError) -> String {
    match reason {
        _ if is_authority(reason) => "it is the certificate of an authority".to_owned(),
        CertificateError::Other(other) => other.0.to_string(),
        reason => reason.to_string(),
    }
}

/// Whether git's TLS library may accept a certificate that rustls does not.
fn is_for_git(reason: &CertificateError) -> bool {
    match reason {
        // Certificates of older servers have the name in the subject only.
        CertificateError::NotValidForNameContext { presented, .. } => presented.is_empty(),
        CertificateError::Other(_) => !is_authority(reason),
        CertificateError::BadEncoding
        | CertificateError::UnhandledCriticalExtension
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => true,
        _ => false,
    }
}

/// Whether the server's certificate was rejected because it is the certificate of an authority.
/// rustls keeps the reason of webpki in a form that only its text shows.
fn is_authority(reason: &CertificateError) -> bool {
    matches!(reason, CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity"))
}

/// The authorities of a file replace those of the platform.
#[derive(Debug)]
struct Authorities {
    /// `None` if no certificate in the file is usable as an authority.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    certificates: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

/// An authority of the platform vouches for the server, and none of the file does. Whether git
/// accepts that depends on its TLS library: some replace the platform's authorities by the file,
/// some add it.
#[derive(Debug, thiserror::Error)]
#[error("an authority of the system issued it, and none in `http.sslCAInfo` did")]
struct OnlyPlatform;

impl Authorities {
    /// Reads the certificates in `file`. A file without a usable one is not an error: no server is
    /// trusted then.
    fn read(file: &Path, provider: Arc<CryptoProvider>) -> Result<Self, Failure> {
        let unusable = |error: &dyn std::fmt::Display| {
            let detail = format!("cannot read the certificates in `{}`: {error}", shown(file));
            Failure::new(RemoteErrorKind::Tls, detail)
        };
        let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|error| unusable(&error))?;

        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let verifier = if roots.is_empty() {
            None
        } else {
            let builder =
                WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
            Some(builder.build().map_err(|error| unusable(&error))?)
        };
        Ok(Self {
            verifier,
            certificates,
            provider,
        })
    }

    /// Verifies the certificate of a server as git does with OpenSSL, if the authorities of the
    /// platform are replaced by a file.
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_file = match &self.verifier {
            Some(verifier) => {
                verifier.verify_server_cert(certificate, intermediates, name, ocsp, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let Err(Error::InvalidCertificate(reason)) = &by_file else {
            return by_file;
        };

        // OpenSSL marks self-signed certificates as authorities by default. git accepts one that is
        // in the file; webpki rejects any authority as a server's certificate, after it has checked
        // its dates.
        if is_authority(reason) && self.certificates.iter().any(|listed| listed == certificate) {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let by_platform = || {
            PlatformVerifier::new(self.provider.clone())?.verify_server_cert(
                certificate,
                intermediates,
                name,
                ocsp,
                now,
            )
        };
        if *reason == CertificateError::UnknownIssuer && by_platform().is_ok() {
            let reason = OtherError(Arc::new(OnlyPlatform));
            return Err(CertificateError::Other(reason).into());
        }
        by_file
    }
}

/// The authorities that vouch for a server.
#[derive(Debug)]
enum Trusted {
    Platform(PlatformVerifier),
    File(Authorities),
    All,
}

/// Verifies servers by the user's settings for TLS.
#[derive(Debug)]
struct Verifier {
    trusted: Trusted,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trusted {
            Trusted::Platform(platform) => {
                platform.verify_server_cert(certificate, intermediates, name, ocsp, now)
            }
            Trusted::File(authorities) => {
                authorities.verify(certificate, intermediates, name, ocsp, now)
            }
            Trusted::All => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
