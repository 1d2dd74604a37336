//! Recipe of the certificate authority: authenticate the caller, allow the identity, sign.
//!
//! A request enters at `serve`, `authenticate` says who calls, `allow` which identity the answer
//! may name, `limit` how often, `sign` makes the certificate with the key that `root` keeps; `plug`
//! replaces that root while the program runs, where the operator provides it.

pub mod serve;
pub mod plug;
pub mod authenticate;
pub mod allow;
pub mod limit;
pub mod server_certificate;
pub mod sign;
pub mod root;
mod stamp;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use mesh::identity::{Identity, TrustDomain};
use mesh::names::NamespacedName;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::shelf::residents::Residents;
use allow::{Refusal, Rules};
use authenticate::{AuthError, Authenticator};
use limit::Limiter;
use root::SigningRoot;
use sign::{Lives, Moment, SignError, Signed};

/// How long a request waits for the first full picture of the cluster.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most callers whose rate is remembered at a time.
const CALLERS: usize = 16_384;

/// The pod that a token was issued to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodReference {
    /// Name of the pod; its namespace is that of the caller's identity.
    pub name: Arc<str>,
    /// Its unique id: a pod of the same name made anew has another one.
    pub uid: Arc<str>,
}

/// Who calls, as the token proved it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Namespace and service account, in this mesh's trust domain.
    pub identity: Identity,
    /// The pod the token is bound to; `None` for tokens that are bound to no pod.
    pub pod: Option<PodReference>,
    /// The node that pod runs on, as the issuer knew it.
    pub node: Option<Arc<str>>,
}

impl Caller {
    /// Namespace of the caller's service account.
    pub fn namespace(&self) -> &str {
        &self.identity.namespace
    }

    /// The caller's service account.
    pub fn service_account(&self) -> &str {
        &self.identity.service_account
    }
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Another identity than the caller's own.
    pub wanted: Option<&'a str>,
    /// Certificate signing request, PEM.
    pub request: &'a str,
    /// Wanted life in seconds; zero or less means the default.
    pub life: i64,
}

/// Why a caller gets no certificate. For the log; [`serve`] says what callers hear.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The objects of the cluster are not known yet.
    #[error("objects of the cluster are not known yet")]
    NotReady,
    /// The token proves nobody.
    #[error("caller is not authenticated")]
    Unauthenticated(#[source] AuthError),
    /// The caller asks more often than it may.
    #[error("{caller} asks too often")]
    TooOften {
        /// Who.
        caller: Identity,
    },
    /// The caller may not have that identity.
    #[error("{caller} may not have that identity")]
    Refused {
        /// Who.
        caller: Identity,
        /// Why not.
        #[source]
        source: Refusal,
    },
    /// Nothing could be signed.
    #[error("nothing can be signed for {caller}")]
    Sign {
        /// Who asked.
        caller: Identity,
        /// Why not.
        #[source]
        source: SignError,
    },
}

impl IssueError {
    /// One word for counters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::Unauthenticated(error) => error.word(),
            Self::TooOften { .. } => "too_often",
            Self::Refused { source, .. } => source.word(),
            Self::Sign { source, .. } => source.word(),
        }
    }

    /// Who asked, as far as that was proven.
    pub fn caller(&self) -> Option<&Identity> {
        match self {
            Self::NotReady | Self::Unauthenticated(_) => None,
            Self::TooOften { caller }
            | Self::Refused { caller, .. }
            | Self::Sign { caller, .. } => Some(caller),
        }
    }
}

/// How an authority decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Service accounts of node proxies.
    pub node_accounts: BTreeSet<NamespacedName>,
    /// How long certificates live.
    pub lives: Lives,
    /// Requests per second that one caller may send steadily.
    pub per_second: u32,
    /// Requests that one caller may send at once.
    pub burst: u32,
    /// How long a request waits for a pod that the node knows of already and we do not yet.
    pub patience: Duration,
}

/// What an authority learns from the rest of the program.
#[derive(Clone)]
pub struct Sources {
    /// Who calls.
    pub authenticator: Arc<dyn Authenticator>,
    /// Which pod runs where.
    pub residents: Arc<RwLock<Residents>>,
    /// The trust domain in force.
    pub trust_domain: watch::Receiver<TrustDomain>,
    /// Whether the objects of the cluster are known.
    pub synced: watch::Receiver<bool>,
    /// Changes whenever pods may have moved.
    pub moved: watch::Receiver<u64>,
}

/// The certificate authority.
pub struct Authority {
    settings: Settings,
    sources: Sources,
    root: watch::Receiver<Arc<SigningRoot>>,
    limiter: Mutex<Limiter<(Identity, Option<PodReference>)>>,
    metrics: Metrics,
}

impl Authority {
    /// An authority that signs with the `root` of the moment.
    pub fn new(
        settings: Settings,
        sources: Sources,
        root: watch::Receiver<Arc<SigningRoot>>,
        metrics: Metrics,
    ) -> Self {
        let limiter = Limiter::new(settings.per_second, settings.burst, CALLERS);
        Self {
            settings,
            sources,
            root,
            limiter: Mutex::new(limiter),
            metrics,
        }
    }

    /// A certificate for whoever `bearer` proves, or for the identity in the order.
    ///
    /// # Errors
    /// Says which of the steps refused, and why.
    pub async fn issue(&self, bearer: &str, order: Order<'_>) -> Result<Signed, IssueError> {
        let result = self.decide(bearer, order).await;
        self.metrics.count_certificate(match &result {
            Ok(_) => "signed",
            Err(error) => error.word(),
        });
        result
    }

    async fn decide(&self, bearer: &str, order: Order<'_>) -> Result<Signed, IssueError> {
        // The trust domain that callers are placed in is known only then.
        self.wait_until_synced().await?;
        let authenticated = self.sources.authenticator.authenticate(bearer).await;
        let caller = authenticated.map_err(IssueError::Unauthenticated)?;
        if !self.admits(&caller) {
            return Err(IssueError::TooOften {
                caller: caller.identity,
            });
        }
        let identity = match self.allow_soon(&caller, order.wanted).await {
            Ok(identity) => identity,
            Err(source) => {
                let caller = caller.identity;
                return Err(IssueError::Refused { caller, source });
            }
        };
        let moment = Moment {
            now: OffsetDateTime::now_utc(),
            serial: rand::random(),
        };
        let lives = self.settings.lives;
        let root = Arc::clone(&self.root.borrow());
        let signed = sign::sign(&root, lives, moment, order.request, &identity, order.life);
        match signed {
            Ok(signed) => {
                let not_after = signed.not_after;
                tracing::debug!(caller = %caller.identity, %identity, %not_after, "signed");
                Ok(signed)
            }
            Err(source) => Err(IssueError::Sign {
                caller: caller.identity,
                source,
            }),
        }
    }

    fn admits(&self, caller: &Caller) -> bool {
        let key = (caller.identity.clone(), caller.pod.clone());
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.admits(&key, Instant::now())
    }

    async fn wait_until_synced(&self) -> Result<(), IssueError> {
        let mut synced = self.sources.synced.clone();
        match tokio::time::timeout(PATIENCE, synced.wait_for(|synced| *synced)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(IssueError::NotReady),
        }
    }

    /// A node may be quicker than the news of its pods: what only a pod is missing for is tried
    /// again while patience lasts.
    async fn allow_soon(&self, caller: &Caller, wanted: Option<&str>) -> Result<Identity, Refusal> {
        let mut moved = self.sources.moved.clone();
        let deadline = tokio::time::Instant::now() + self.settings.patience;
        loop {
            moved.borrow_and_update();
            match self.allow(caller, wanted) {
                Err(refusal) if refusal.may_pass() => {
                    let changed = tokio::time::timeout_at(deadline, moved.changed());
                    if !matches!(changed.await, Ok(Ok(()))) {
                        return Err(refusal);
                    }
                }
                result => return result,
            }
        }
    }

    fn allow(&self, caller: &Caller, wanted: Option<&str>) -> Result<Identity, Refusal> {
        let rules = Rules {
            node_accounts: &self.settings.node_accounts,
            trust_domain: self.sources.trust_domain.borrow().clone(),
        };
        let residents = self
            .sources
            .residents
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        allow::allow(caller, wanted, &rules, &residents)
    }
}
