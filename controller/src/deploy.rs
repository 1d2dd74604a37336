//! Recipe: what Gateways ask for, made to exist: a change is heard -> whom does it concern? -> plan -> write.
//!
//! In: changes of objects from the index's task. Out: whole objects through the sink (the class, the roots of every
//! namespace, the parts of each waypoint), and what the Gateways' status says. Never: a write to an object that
//! somebody else made.

mod write;
mod inbox;
mod plan;
mod status;
mod parts;
mod overlay;
mod waypoint;
mod picture;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh::identity::TrustDomain;
use mesh::telemetry::report;
use objects::sink::Sink;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ca::root::SigningRoot;
use crate::status::Statuses;
pub use inbox::Inbox;
pub use parts::TOLD;
use picture::{Picture, Subject};
use plan::Plan;
use write::Pen;

/// The name under which objects are made. Another than that of statuses: what one writes the other must not take back.
pub const MANAGER: &str = "weft-deployer";
/// Pause before what could not be written is tried again; doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What every waypoint of this mesh is told, and the names of what the mesh makes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Image of a waypoint's container.
    pub image: String,
    /// Where waypoints find discovery and certificates, a URL.
    pub controller_address: String,
    /// ConfigMap of every namespace with the roots to trust, PEM under `root-cert.pem`.
    pub root_config_map: String,
    /// Id of the cluster.
    pub cluster: Arc<str>,
    /// Domain of service host names.
    pub domain: Arc<str>,
    /// Where the defaults of a class are looked for.
    pub system_namespace: Arc<str>,
}

/// What waypoints are told that changes while the program runs.
pub struct News {
    /// Whose roots are trusted.
    pub root: watch::Receiver<Arc<SigningRoot>>,
    /// Trust domain of the mesh.
    pub trust_domain: watch::Receiver<TrustDomain>,
    /// Whether all objects were read once; nothing is written before.
    pub synced: watch::Receiver<bool>,
}

/// The task that makes things exist.
pub struct Deployer {
    settings: Arc<Settings>,
    news: News,
    inbox: Inbox,
    pen: Pen,
    statuses: Statuses,
    picture: Picture,
    /// Who must be looked at, and when at the earliest.
    due: BTreeMap<Subject, Instant>,
    /// Whose last write failed: why, and the pause until the next try.
    failed: BTreeMap<Subject, (String, Duration)>,
}

impl Deployer {
    /// A deployer that has made nothing yet.
    pub fn new(
        settings: Settings,
        news: News,
        inbox: Inbox,
        sink: Arc<dyn Sink>,
        statuses: Statuses,
    ) -> Self {
        let picture = Picture::new(&settings);
        Self {
            settings: Arc::new(settings),
            news,
            inbox,
            pen: Pen::new(sink),
            statuses,
            picture,
            due: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Follows the objects and writes while this program leads, for as long as it runs.
    pub async fn run(mut self, mut leads: watch::Receiver<bool>) {
        if self.news.synced.wait_for(|is| *is).await.is_err() {
            return;
        }
        while leads.wait_for(|leads| *leads).await.is_ok() {
            // Another may have written meanwhile.
            self.pen.forget_all();
            self.failed.clear();
            self.hear();
            let everybody: Vec<Subject> = self.picture.everybody().collect();
            self.owe(everybody);
            let lost = async {
                // Where nobody else can lead, nobody says so.
                if leads.wait_for(|leads| !*leads).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.write_on() => {}
                () = lost => {}
            }
        }
    }

    async fn write_on(&mut self) {
        loop {
            self.hear();
            self.round().await;
            self.wait().await;
        }
    }

    /// Takes in what changed.
    fn hear(&mut self) {
        let mut touched = BTreeSet::new();
        for change in self.inbox.take() {
            if let Some(key) = self.picture.take(change, &mut touched) {
                self.pen.forget(&key);
            }
        }
        self.owe(touched);
    }

    fn owe(&mut self, subjects: impl IntoIterator<Item = Subject>) {
        let now = Instant::now();
        for subject in subjects {
            // Whose write failed waits for its turn, whatever else changes around it.
            if !self.failed.contains_key(&subject) {
                self.due.insert(subject, now);
            }
        }
    }

    /// Looks at everybody who is due.
    async fn round(&mut self) {
        let now = Instant::now();
        let due = self.due.iter().filter(|(_, at)| **at <= now);
        let due: Vec<Subject> = due.map(|(subject, _)| subject.clone()).collect();
        if due.is_empty() {
            return;
        }
        let root = Arc::clone(&self.news.root.borrow_and_update());
        let trust_domain = self.news.trust_domain.borrow_and_update().clone();
        let settings = Arc::clone(&self.settings);
        let told = plan::Told {
            settings: &settings,
            roots: root.roots(),
            trust_domain: trust_domain.as_str(),
        };
        let mut wishes = Vec::new();
        for subject in due {
            self.due.remove(&subject);
            let mut made = plan::plan(&self.picture, told, &subject);
            if let Err(reason) = self.write(&subject, &made).await {
                made.failed(&reason);
            }
            wishes.extend(made.wishes(&self.settings.domain));
        }
        self.statuses.wish(wishes);
    }

    /// Brings what is there in line with the plan; else why not.
    async fn write(&mut self, subject: &Subject, plan: &Plan) -> Result<(), String> {
        match self.pen.settle(&plan.documents, &plan.gone).await {
            Ok(()) => {
                self.failed.remove(subject);
                Ok(())
            }
            Err((key, error)) => {
                let reason = format!("{key} cannot be written: {}", report(&error));
                tracing::warn!(object = %key, error = report(&error), "not deployed, trying again");
                let pause = self.failed.get(subject).map(|(_, pause)| *pause * 2);
                let pause = pause.unwrap_or(PAUSE).min(LONGEST_PAUSE);
                let failed = (reason.clone(), pause);
                self.failed.insert(subject.clone(), failed);
                self.due.insert(subject.clone(), Instant::now() + pause);
                Err(reason)
            }
        }
    }

    /// Until there is something to do.
    async fn wait(&mut self) {
        let next = self.due.values().min().copied();
        let turn = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let root = changed(&mut self.news.root);
        let trust_domain = changed(&mut self.news.trust_domain);
        let (is_root, is_domain) = tokio::select! {
            () = self.inbox.heard() => (false, false),
            () = turn => (false, false),
            () = root => (true, false),
            () = trust_domain => (false, true),
        };
        if is_root || is_domain {
            let everybody = self.picture.everybody();
            let concerned = everybody.filter(|it| match it {
                Subject::Roots(_) => is_root,
                Subject::Waypoint(..) => is_domain,
                Subject::Class => false,
            });
            let concerned: Vec<Subject> = concerned.collect();
            self.owe(concerned);
        }
    }
}

/// Until there is another value; never, when nobody can send one any more.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
