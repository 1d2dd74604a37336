//! The life of one pod: network, files, CNI, init containers, containers; and its end.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use nix::sys::signal::Signal;
use objects::kubernetes::{Container, Pod};
use objects::object::Object;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::container::{self, Run};
use super::files::TokenFile;
use super::live::LivePod;
use super::place_pod::{self, call_plugin, network};
use super::prepare::{self, prepare};
use super::status::{ContainerState, PodState, State, fields};
use super::wish::{self, PodWish, Refusal};
use super::{Context, plugin};
use crate::cluster::{Words, Writer};
use crate::node::Node;
use crate::process::kill_namespace;

/// Pause between two attempts of something that may yet work.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a pod does not come up (yet).
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Network(#[from] place_pod::Error),
    #[error(transparent)]
    Prepare(#[from] prepare::Error),
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
}

impl Error {
    /// One word for `status.reason`, Kubernetes' own where it has one.
    fn word(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::Image { .. }) => "ErrImageNeverPull",
            Self::Refused(Refusal::Field { .. }) => "InvalidSpec",
            Self::Prepare(_) => "FailedMount",
            Self::Network(_) | Self::Plugin(_) => "FailedCreatePodSandBox",
        }
    }
}

/// Lets a pod live on `node` until `ended`; then nothing of it is left but its logs.
pub(super) async fn live(
    context: &Context,
    object: Arc<Object>,
    node: Arc<Node>,
    ended: oneshot::Receiver<()>,
) {
    let Some(pod) = object.pod() else { return };
    let (state, states) = watch::channel(first_state(pod, &node));
    let mut writer = context.cluster.writer("kubelet");
    let key = object.key();
    let life = Box::pin(run(context, &object, pod, node, state, ended));
    tokio::join!(life, tell(&mut writer, &object, states));
    writer.take_back(key).await;
    if let Err(error) = context.sink.retire_now(key, &pod.metadata.uid) {
        tracing::warn!(pod = %key, error = %mesh::telemetry::report(&error), "cannot retire the pod's uid");
    }
}

/// Writes the status whenever the state has changed.
async fn tell(writer: &mut Writer, object: &Object, mut states: watch::Receiver<PodState>) {
    loop {
        let fields = fields(&states.borrow_and_update());
        let uid = object.metadata().uid.clone();
        writer
            .say(object.key().clone(), Words::Patch { uid, fields })
            .await;
        if states.changed().await.is_err() {
            return;
        }
    }
}

fn first_state(pod: &Pod, node: &Node) -> PodState {
    let state = |container: &Container, is_init| ContainerState {
        name: container.name.clone(),
        image: container.image.clone(),
        is_init,
        state: State::Waiting {
            reason: "ContainerCreating",
            message: String::new(),
        },
        ready: false,
        restarts: 0,
        last_exit: None,
    };
    let init = pod
        .spec
        .init_containers
        .iter()
        .map(|one| state(one, !one.is_sidecar()));
    let main = pod.spec.containers.iter().map(|one| state(one, false));
    PodState {
        node_address: Some(node.addresses.internal_v4().into()),
        containers: init.chain(main).collect(),
        ..PodState::default()
    }
}

async fn run(
    context: &Context,
    object: &Object,
    pod: &Pod,
    node: Arc<Node>,
    state: watch::Sender<PodState>,
    mut ended: oneshot::Receiver<()>,
) {
    let wish = match check(object, pod) {
        Ok(wish) => wish,
        Err(refusal) => {
            report(object, &state, &refusal.into());
            let _ = ended.await;
            return;
        }
    };
    let live = loop {
        match network(context, pod, node.clone(), &state).await {
            Ok(live) => break Arc::new(live),
            Err(error) => report(object, &state, &error.into()),
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            _ = &mut ended => return,
        }
    };
    context.pods.enter(&live);
    let up = async {
        let (runs, tokens) = loop {
            match bring_up(context, pod, &wish, &live).await {
                Ok(prepared) => break prepared,
                Err(error) => report(object, &state, &error),
            }
            sleep(PAUSE).await;
        };
        live.update(|state| state.trouble = None);
        tokio::join!(containers(context, &live, runs), renew(context, tokens));
        std::future::pending().await
    };
    tokio::select! {
        () = up => {}
        _ = &mut ended => {}
    }
    take_down(context, &wish, &live).await;
    context.pods.leave(&live.name);
}

/// What can be known to be wrong before anything is done.
fn check(object: &Object, pod: &Pod) -> Result<PodWish, Refusal> {
    let wish = wish::read(object)?;
    let mut all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    all.try_for_each(|container| wish::command(container).map(drop))?;
    Ok(wish)
}

/// Says in the pod's status, once, why it does not come up.
fn report(object: &Object, state: &watch::Sender<PodState>, error: &Error) {
    let trouble = (error.word(), mesh::telemetry::report(error));
    let is_news = state.send_if_modified(|state| {
        if state.trouble.as_ref() == Some(&trouble) {
            return false;
        }
        for one in &mut state.containers {
            one.state = State::Waiting {
                reason: trouble.0,
                message: trouble.1.clone(),
            };
        }
        state.trouble = Some(trouble.clone());
        true
    });
    if is_news {
        tracing::warn!(pod = %object.key(), reason = trouble.1, "pod does not come up");
    }
}

/// Files, then CNI: no container starts before the mesh had its say.
async fn bring_up(
    context: &Context,
    pod: &Pod,
    wish: &PodWish,
    live: &Arc<LivePod>,
) -> Result<(Vec<Run>, Vec<TokenFile>), Error> {
    let prepared = prepare(context, pod, wish, live)?;
    call_plugin(context, live, "ADD").await?;
    Ok(prepared)
}

/// Init containers one after the other, then everything else at once; sidecars from where they stand in the order.
async fn containers(context: &Context, live: &Arc<LivePod>, runs: Vec<Run>) {
    live.prepare(
        runs.iter()
            .map(|run| (run.spec.clone(), run.environment.clone())),
    );
    let start = |run: Run| container::live(live.clone(), context.children.clone(), run);
    let is_init: Vec<bool> = live
        .state()
        .containers
        .iter()
        .map(|one| one.is_init)
        .collect();
    let mut together = Vec::new();
    let mut sidecars = FuturesUnordered::new();
    for run in runs {
        if is_init.get(run.index) != Some(&true) {
            match run.container.is_sidecar() {
                true => sidecars.push(start(run)),
                false => together.push(run),
            }
            continue;
        }
        let init = start(run);
        tokio::pin!(init);
        let exit = loop {
            tokio::select! {
                exit = &mut init => break exit,
                Some(_) = sidecars.next() => {}
            }
        };
        if !exit.is_success() {
            return;
        }
    }
    let rest = async { while sidecars.next().await.is_some() {} };
    tokio::join!(join_all(together.into_iter().map(start)), rest);
}

/// Writes tokens anew, each long before it runs out.
async fn renew(context: &Context, tokens: Vec<TokenFile>) {
    let Some(pause) = tokens.iter().map(|token| token.life / 3).min() else {
        return;
    };
    loop {
        sleep(pause).await;
        for token in &tokens {
            if let Err(error) = token.write(&context.issuer, &context.cluster.view()) {
                tracing::warn!(error = %mesh::telemetry::report(&error), "cannot renew a token");
            }
        }
    }
}

async fn take_down(context: &Context, wish: &PodWish, live: &LivePod) {
    live.update(|state| state.is_ending = true);
    live.signal(Signal::SIGTERM);
    let processes = live.processes();
    let _ = timeout(
        wish.grace(),
        join_all(processes.iter().map(|process| process.wait())),
    )
    .await;
    live.signal(Signal::SIGKILL);
    if let Some(slot) = live.slot {
        // What daemons left behind lives in the pod's network too.
        let path = live.network.path().to_owned();
        let kill = move || std::fs::metadata(path).map(|meta| kill_namespace(meta.ino()));
        let _ = tokio::task::spawn_blocking(kill).await;
        if let Err(error) = call_plugin(context, live, "DEL").await {
            tracing::warn!(pod = %live.name, error = %mesh::telemetry::report(&error), "CNI DEL failed");
        }
        if let Err(error) = live.network.clone().remove() {
            tracing::warn!(pod = %live.name, error = %mesh::telemetry::report(&error), "namespace left behind");
        }
        context
            .pods
            .give_slot_back(live.node.addresses.number, slot);
    }
    let _ = std::fs::remove_dir_all(&live.folder);
}
