//! The operator's own signing certificate: taken when proxies would accept what it signs, followed
//! when its files are replaced. Source: docs/compat.md#certificate-service.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh::identity::{Identity, TrustDomain};
use mesh::telemetry::report;
use mesh::tls;
use objects::change::{Class, Problem};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::root::{RootError, SigningRoot, plugged};
use super::sign::{self, Lives, Moment, SignError};
use super::stamp::Stamp;
use crate::problems::Problems;

/// How often the files are looked at. They are read when two looks in a row find the same, so that
/// somebody who replaces them one by one has finished.
const PERIOD: Duration = Duration::from_secs(1);
/// Life of the certificate that is made to see whether proxies would accept it.
const TRIAL: time::Duration = time::Duration::minutes(1);

/// Why the operator's certificate is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PlugError {
    /// Its files are of no use.
    #[error("cannot use the files in {}", directory.display())]
    Files {
        /// Where they are.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: RootError,
    },
    /// Nothing can be signed with it.
    #[error("cannot sign with the certificate in {}", directory.display())]
    Sign {
        /// Where it is.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: SignError,
    },
    /// What it signs would be refused.
    #[error("proxies would refuse what is signed with the certificate in {}", directory.display())]
    Refused {
        /// Where it is.
        directory: PathBuf,
        /// What they would say.
        #[source]
        source: tls::Error,
    },
    /// The public copy of the roots cannot be written.
    #[error("cannot publish the roots")]
    Publish(#[source] RootError),
}

/// Where the operator's certificate is, and which state of it was last looked at.
#[derive(Debug)]
pub struct Plug {
    directory: PathBuf,
    /// Where the public copy of its roots goes.
    state: PathBuf,
    seen: Vec<Option<Stamp>>,
}

impl Plug {
    /// The certificate in `directory`; the public copy of its roots goes to `state`.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn open(directory: PathBuf, state: PathBuf) -> Result<(Self, SigningRoot), PlugError> {
        let mut plug = Self {
            directory,
            state,
            seen: Vec::new(),
        };
        plug.seen = plug.look();
        let root = plug.take(OffsetDateTime::now_utc())?;
        Ok((plug, root))
    }

    /// Puts a certificate into force whenever the operator has replaced it. One that is of no use
    /// leaves the one before in force; the reason is in the log and among the problems.
    pub async fn follow(mut self, roots: watch::Sender<Arc<SigningRoot>>, problems: &Problems) {
        let mut last = self.seen.clone();
        let mut standing: Vec<Problem> = Vec::new();
        loop {
            tokio::time::sleep(PERIOD).await;
            let now = self.look();
            let is_settled = now == std::mem::replace(&mut last, now.clone());
            if !is_settled || now == self.seen {
                continue;
            }
            self.seen = now;
            problems.resolve(&standing);
            standing.clear();
            match self.take(OffsetDateTime::now_utc()) {
                Ok(root) => {
                    let not_after = root.not_after();
                    tracing::info!(%not_after, "the operator's signing certificate is in force");
                    roots.send_replace(Arc::new(root));
                }
                Err(error) => {
                    let reason = report(&error);
                    tracing::error!(error = reason, "the old signing certificate stays in force");
                    let problem = self.problem(reason);
                    problems.add(problem.clone());
                    standing.push(problem);
                }
            }
        }
    }

    fn look(&self) -> Vec<Option<Stamp>> {
        let stamp = |name: &str| Stamp::of(&self.directory.join(name)).ok();
        plugged::FILES.into_iter().map(stamp).collect()
    }

    fn take(&self, now: OffsetDateTime) -> Result<SigningRoot, PlugError> {
        let directory = || self.directory.clone();
        let root = plugged::read(&self.directory).map_err(|source| PlugError::Files {
            directory: directory(),
            source,
        })?;
        let chain = trial(&root, now).map_err(|source| PlugError::Sign {
            directory: directory(),
            source,
        })?;
        let read = |text: &String| CertificateDer::from_pem_slice(text.as_bytes()).ok();
        let chain: Vec<_> = chain.iter().filter_map(read).collect();
        let roots: Vec<_> = CertificateDer::pem_slice_iter(root.roots().as_bytes())
            .flatten()
            .collect();
        tls::check_chain(&chain, &roots, SystemTime::from(now)).map_err(|source| {
            PlugError::Refused {
                directory: directory(),
                source,
            }
        })?;
        root.publish(&self.state).map_err(PlugError::Publish)?;
        Ok(root)
    }

    fn problem(&self, reason: String) -> Problem {
        Problem {
            file: self.directory.clone(),
            line: 0,
            key: None,
            field: String::new(),
            reason,
            class: Class::Broken,
        }
    }
}

/// A workload's certificate without its roots, made only to be looked at.
fn trial(root: &SigningRoot, now: OffsetDateTime) -> Result<Vec<String>, SignError> {
    let request = || -> Result<String, rcgen::Error> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        CertificateParams::default().serialize_request(&key)?.pem()
    };
    let request = request().map_err(SignError::Make)?;
    let identity = Identity::new(TrustDomain::default(), "trial", "trial");
    let lives = Lives {
        default: TRIAL,
        max: TRIAL,
    };
    let moment = Moment {
        now,
        serial: rand::random(),
    };
    let mut signed = sign::sign(root, lives, moment, &request, &identity, 0)?;
    signed.chain.pop();
    Ok(signed.chain)
}

#[cfg(test)]
mod tests;
