//! An API server of Kubernetes for tests: speaks as much of the API as Weft uses, and can be told to misbehave.
//!
//! ```text
//! serve       a request is read, perhaps refused on purpose, and answered
//! path        what is a path about?                        (pure)
//! discovery   what is served                               (pure)
//! list        pages of a snapshot
//! stream      a watch, or a list as a stream
//! write       create, replace, patch, apply, delete
//! store       objects, their versions, what happened       (pure)
//! fields      who owns which fields: managedFields         (pure)
//! mischief    what goes wrong next
//! ```
//!
//! What it assumes of the real one is in `e2e/src/api_server/README.md`.

mod serve;
mod discovery;
mod list;
mod stream;
mod write;
mod review;
mod mischief;
mod store;
mod fields;
mod path;
mod secure;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use mesh::lifecycle::task;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;

pub use mischief::{Blow, Mischief, Refuse};
pub use review::Proven;
use secure::Papers;
use store::Store;

/// How it is set up.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether lists can be asked for as streams.
    pub streaming_lists: bool,
    /// How often a watch that wants bookmarks gets one. The real one does so about once a minute.
    pub bookmarks: Duration,
    /// Whether it speaks TLS, with a CA of its own.
    pub tls: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            streaming_lists: true,
            bookmarks: Duration::from_millis(100),
            tls: false,
        }
    }
}

/// A running API server on a loopback port; it ends when this is dropped.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    papers: Option<Papers>,
    world: Arc<World>,
    accepting: AbortHandle,
}

/// What all requests share.
#[derive(Debug)]
struct World {
    settings: Settings,
    store: Mutex<Store>,
    mischief: Mutex<Mischief>,
    tokens: Mutex<BTreeMap<String, Proven>>,
    /// Says the store's version whenever it grows.
    version: watch::Sender<u64>,
    /// What happens to all watches that are open.
    blows: broadcast::Sender<Blow>,
}

impl World {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mischief(&self) -> MutexGuard<'_, Mischief> {
        self.mischief.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, BTreeMap<String, Proven>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the store, and tells all watches when that made a new version.
    fn change<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        let (done, version) = {
            let mut store = self.store();
            (work(&mut store), store.version())
        };
        self.version.send_if_modified(|known| {
            let is_new = *known != version;
            *known = version;
            is_new
        });
        done
    }
}

impl ApiServer {
    /// Starts one that knows every kind Weft reads, and no object.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(settings: Settings) -> Result<ApiServer> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("a port for the API server")?;
        let address = listener.local_addr()?;
        let papers = settings.tls.then(Papers::make).transpose()?;
        let store = Store::default();
        let world = Arc::new(World {
            settings,
            version: watch::Sender::new(store.version()),
            store: Mutex::new(store),
            mischief: Mutex::default(),
            tokens: Mutex::default(),
            blows: broadcast::Sender::new(64),
        });
        let acceptor = papers.as_ref().map(Papers::acceptor);
        let accepting = task::spawn(
            "API server",
            serve::accept(listener, acceptor, world.clone()),
        );
        Ok(ApiServer {
            address,
            papers,
            world,
            accepting: accepting.abort_handle(),
        })
    }

    /// Writes a configuration of `kubectl` that leads here.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn kubeconfig(&self, file: &Path) -> Result<()> {
        let (scheme, ca) = match &self.papers {
            Some(papers) => ("https", papers.authority_data()),
            None => ("http", String::new()),
        };
        let ca = match ca.is_empty() {
            true => String::new(),
            false => format!("certificate-authority-data: {ca}, "),
        };
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
             clusters: [{{name: it, cluster: {{{ca}server: \"{scheme}://{}\"}}}}]\n\
             users: [{{name: it, user: {{token: admin}}}}]\n\
             contexts: [{{name: it, context: {{cluster: it, user: it}}}}]\n",
            self.address
        );
        std::fs::write(file, text).with_context(|| file.display().to_string())
    }

    /// Makes an object exist as it is written here, status and all, as the parts of a cluster that may write everything
    /// do: one that exists keeps its uid, a new one gets the uid and the time of creation that it says.
    ///
    /// # Errors
    /// When it is of a kind that is not served.
    pub fn put(&self, object: Value) -> Result<()> {
        self.world.change(|store| store.put(object))
    }

    /// The same for every document of a YAML text.
    ///
    /// # Errors
    /// When the text is no YAML, or an object of a kind that is not served.
    pub fn put_yaml(&self, text: &str) -> Result<()> {
        let documents = objects::raw::parse(text.as_bytes())?;
        let mut documents = documents.into_iter();
        documents.try_for_each(|it| self.put(it.value().clone()))
    }

    /// Makes an object not exist; `resource` is `plural` or `plural.group`. Whether it did.
    pub fn remove(&self, resource: &str, namespace: &str, name: &str) -> bool {
        let key = (namespace.to_owned(), name.to_owned());
        self.world
            .change(|store| store.delete(resource, &key))
            .is_some()
    }

    /// An object as it is now.
    #[must_use]
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (namespace.to_owned(), name.to_owned());
        self.world
            .store()
            .get(resource, &key)
            .map(|it| (*it).clone())
    }

    /// Every object of a resource.
    #[must_use]
    pub fn all(&self, resource: &str) -> Vec<Value> {
        let objects = self.world.store().all(resource, None);
        objects.iter().map(|it| (**it).clone()).collect()
    }

    /// Whether custom resources of this kind are installed; all are at first. Its objects go with it.
    pub fn serve_resource(&self, resource: &str, is_served: bool) {
        self.world.change(|store| store.serve(resource, is_served));
    }

    /// Whose a token is, for token reviews.
    pub fn trust(&self, token: &str, proven: Proven) {
        self.world.tokens().insert(token.to_owned(), proven);
    }

    /// A token that is not good any more.
    pub fn distrust(&self, token: &str) {
        self.world.tokens().remove(token);
    }

    /// What goes wrong from now on.
    pub fn misbehave(&self, edit: impl FnOnce(&mut Mischief)) {
        edit(&mut self.world.mischief());
        // Watches that hold something back look again.
        self.world.version.send_modify(|_| {});
    }

    /// Does something to all watches that are open; how many there were.
    pub fn strike(&self, blow: Blow) -> usize {
        self.world.blows.send(blow).unwrap_or(0)
    }

    /// Forgets what happened: who asks for changes since before now is told to list again.
    pub fn compact(&self) {
        self.world.store().compact();
    }

    /// How many requests came whose method and path (with query) hold both words.
    #[must_use]
    pub fn asked(&self, method: &str, part: &str) -> usize {
        self.world.mischief().count(method, part)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.accepting.abort();
        // Open watches end with their connections.
        let _ = self.world.blows.send(Blow::Drop);
    }
}
