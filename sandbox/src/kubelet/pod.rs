//! The life of one pod: network, files, CNI, init containers, containers; and its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use objects::kubernetes::{Container, Pod};
use objects::object::Object;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::Context;
use super::container::{self, Restart, Run};
use super::files::{self, TokenFile};
use super::live::{Facts, LivePod};
use super::plugin::{self, Call};
use super::status::{ContainerState, PodState, State, fields};
use super::wish::{self, PodWish, Refusal, SecurityContext};
use crate::cluster::{View, Words};
use crate::exec::{Mount, Spec, User};
use crate::messages::PodName;
use crate::network::topology::{PodAddresses, build_pod};
use crate::network::{links, namespace};
use crate::node::Node;
use crate::process::{Environment, kill_namespace};
use crate::roles::tokens::Bearer;

/// On a pod or namespace: which address families its pods have.
pub(crate) const FAMILIES_ANNOTATION: &str = "weft.dev/ip-families";
/// Pause between two attempts of something that may yet work.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a pod does not come up (yet).
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("cannot set the pod's network up")]
    Network(#[from] links::Error),
    #[error(transparent)]
    Namespace(#[from] namespace::Error),
    #[error("the node has no free pod address")]
    Full,
    #[error(transparent)]
    Files(#[from] files::Error),
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
}

impl Error {
    /// One word for `status.reason`.
    fn word(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::Image { .. }) => "ErrImageNeverPull",
            Self::Refused(Refusal::Field { .. }) => "InvalidSpec",
            Self::Files(_) => "FailedMount",
            _ => "FailedCreatePodSandBox",
        }
    }
}

/// Lets a pod live on `node` until `ended`; then nothing of it is left but its logs.
pub(crate) async fn live(
    context: &Context,
    object: Arc<Object>,
    node: Arc<Node>,
    ended: oneshot::Receiver<()>,
) {
    let Some(pod) = object.pod() else { return };
    let (state, states) = watch::channel(first_state(pod, &node));
    let mut writer = context.cluster.writer("kubelet");
    let (key, uid) = (object.key().clone(), pod.metadata.uid.clone());
    let life = async {
        run(context, &object, pod, node, state, ended).await;
    };
    let tell = async {
        let mut states = states;
        loop {
            let fields = fields(&states.borrow_and_update());
            writer
                .say(
                    key.clone(),
                    Words::Patch {
                        uid: uid.clone(),
                        fields,
                    },
                )
                .await;
            if states.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::join!(life, tell);
    writer.take_back(&key).await;
    if let Err(error) = context.sink.retire_now(&key, &uid) {
        tracing::warn!(pod = %key, error = %crate::chain(&error), "cannot retire the pod's uid");
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
    object: &Arc<Object>,
    pod: &Pod,
    node: Arc<Node>,
    state: watch::Sender<PodState>,
    mut ended: oneshot::Receiver<()>,
) {
    let refuse = |error: &Error| {
        let (word, message) = (error.word(), crate::chain(error));
        tracing::warn!(pod = %object.key(), message, "pod does not come up");
        state.send_modify(|state| {
            for one in &mut state.containers {
                one.state = State::Waiting {
                    reason: word,
                    message: message.clone(),
                };
            }
            state.trouble = Some((word, message));
        });
    };
    let checked = wish::read(object).and_then(|wish| {
        pod.spec
            .running_containers()
            .try_for_each(|one| wish::command(one).map(drop))?;
        Ok(wish)
    });
    let wish = match checked {
        Ok(wish) => wish,
        Err(refusal) => {
            refuse(&refusal.into());
            let _ = ended.await;
            return;
        }
    };
    let live = loop {
        match network(context, pod, node.clone(), &state).await {
            Ok(live) => break Arc::new(live),
            Err(error) => refuse(&error),
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            _ = &mut ended => return,
        }
    };
    context.pods.enter(&live);
    let up = async {
        loop {
            match bring_up(context, object, &wish, &live).await {
                Ok((runs, tokens)) => {
                    live.update(|state| state.trouble = None);
                    tokio::join!(containers(context, &live, runs), renew(context, tokens));
                    return;
                }
                Err(error) => refuse(&error),
            }
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = up => { let _ = (&mut ended).await; }
        _ = &mut ended => {}
    }
    take_down(context, pod, &wish, &live).await;
    context.pods.leave(&live.name);
}

/// The pod's network namespace and addresses; published in its status at once.
async fn network(
    context: &Context,
    pod: &Pod,
    node: Arc<Node>,
    state: &watch::Sender<PodState>,
) -> Result<LivePod, Error> {
    let name = PodName {
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
    };
    let uid = pod.metadata.uid.clone();
    let folder = context.place.run().join("pods").join(&uid);
    let facts = if pod.spec.host_network {
        let addresses = PodAddresses {
            v4: node.addresses.internal_v4(),
            v6: None,
        };
        let network = node.namespace.clone();
        Facts {
            name,
            uid,
            node,
            slot: None,
            addresses,
            network,
            folder,
        }
    } else {
        let number = node.addresses.number;
        let slot = context.pods.take_slot(number).ok_or(Error::Full)?;
        let wants_v6 = context.dual_stack && wants_both_families(&context.cluster.view(), pod);
        let addresses = PodAddresses {
            v4: node.addresses.pod_v4(slot),
            v6: wants_v6.then(|| node.addresses.pod_v6(slot)),
        };
        let path = context.place.run().join("netns").join(&uid);
        let outside = node.clone();
        let built = tokio::task::spawn_blocking(move || {
            build_pod(
                &outside.namespace,
                outside.addresses,
                &path,
                slot,
                addresses,
            )
        });
        let built = match built.await {
            Ok(built) => built.map_err(Error::from),
            Err(_) => Err(Error::Full),
        };
        let network = built.inspect_err(|_| context.pods.give_slot_back(number, slot))?;
        Facts {
            name,
            uid,
            node,
            slot: Some(slot),
            addresses,
            network,
            folder,
        }
    };
    state.send_modify(|state| state.addresses = facts.addresses.all().collect());
    Ok(LivePod::new(facts, state.clone()))
}

/// The rule for dual stack: the pod's annotation, else its namespace's; IPv4 alone without one.
fn wants_both_families(view: &View, pod: &Pod) -> bool {
    use objects::kinds::{Key, Kind};
    let namespace = view.get(&Key::new(Kind::Namespace, "", &pod.metadata.namespace));
    let of_namespace =
        namespace.and_then(|object| object.metadata().annotations.get(FAMILIES_ANNOTATION));
    let families = pod
        .metadata
        .annotations
        .get(FAMILIES_ANNOTATION)
        .or(of_namespace);
    families.is_some_and(|text| text.split(',').any(|family| family.trim() == "IPv6"))
}

/// Files and CNI; answers with what to run. May be called again after a failure.
async fn bring_up(
    context: &Context,
    object: &Arc<Object>,
    wish: &PodWish,
    live: &LivePod,
) -> Result<(Vec<Run>, Vec<TokenFile>), Error> {
    let view = context.cluster.view();
    let Some(pod) = object.pod() else {
        return Ok(Default::default());
    };
    let hostname = wish
        .hostname
        .clone()
        .unwrap_or_else(|| pod.metadata.name.clone());
    let addresses: Vec<_> = live.addresses.all().collect();
    let names = files::name_files(
        &live.folder.join("names"),
        &live.name.namespace,
        &hostname,
        &addresses,
    )?;
    let bearer = Bearer {
        namespace: live.name.namespace.clone(),
        service_account: pod.spec.service_account().to_owned(),
        pod: live.name.name.clone(),
        pod_uid: live.uid.clone(),
        node: live.node.name.clone(),
    };
    let volumes = live.folder.join("volumes");
    let tokens = files::make_volumes(&volumes, wish, &bearer, &context.issuer, &view)?;
    if context.mesh && live.slot.is_some() {
        call(context, live, "ADD").await?;
    }
    // With the addresses that the pod has by now, for its environment.
    let mut known = pod.clone();
    known.status.pod_ips = addresses
        .iter()
        .map(|ip| objects::kubernetes::pod::PodIp { ip: *ip })
        .collect();
    let policy = Restart::read(pod.spec.restart_policy.as_deref());
    let all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    let mut runs = Vec::new();
    for (index, container) in all.enumerate() {
        let hostname = (!pod.spec.host_network).then(|| hostname.clone());
        let (spec, environment) = how_to_run(
            context,
            live,
            wish,
            &known,
            container,
            (names.clone(), hostname),
        )?;
        let is_init = index < pod.spec.init_containers.len();
        let restart = match (is_init, container.is_sidecar()) {
            (true, false) if policy == Restart::Never => Restart::Never,
            (true, false) => Restart::OnFailure,
            (true, true) => Restart::Always,
            (false, _) => policy,
        };
        let file = format!(
            "{}_{}_{}.log",
            live.name.namespace, live.name.name, container.name
        );
        let log = context.place.logs().join(file);
        runs.push(Run {
            index,
            container: container.clone(),
            spec,
            environment,
            log,
            restart,
        });
    }
    Ok((runs, tokens))
}

/// One container's namespaces, mounts, user and command.
fn how_to_run(
    context: &Context,
    live: &LivePod,
    wish: &PodWish,
    pod: &Pod,
    container: &Container,
    (names, hostname): (Vec<Mount>, Option<String>),
) -> Result<(Spec, Environment), Error> {
    let own = wish.container(&container.name);
    // A container's own `/run`: programs of two pods do not meet there, and there is room for mounts.
    let mut mounts = vec![Mount::Empty {
        target: PathBuf::from("/run"),
    }];
    mounts.extend(names);
    mounts.extend(files::volume_mounts(
        &live.folder.join("volumes"),
        wish,
        &own.volume_mounts,
    )?);
    let built_in = container.command.is_empty();
    let spec = Spec {
        network: Some(live.network.path().to_owned()),
        mounts,
        hide: vec![context.place.run()],
        hostname,
        user: user(context, &wish.security_context, &own.security_context),
        directory: Some(
            own.working_dir
                .clone()
                .unwrap_or_else(|| PathBuf::from("/")),
        ),
        command: wish::command(container)?,
        name: built_in.then(|| "weft".to_owned()),
        join: None,
    };
    Ok((spec, wish::environment(pod, &own)))
}

fn user(context: &Context, of_pod: &SecurityContext, own: &SecurityContext) -> Option<User> {
    let uid = own.run_as_user.or(of_pod.run_as_user)?;
    if uid == 0 {
        return None;
    }
    let gid = own.run_as_group.or(of_pod.run_as_group).unwrap_or(uid);
    Some(User {
        uid,
        gid,
        nested: !context.many_ids,
    })
}

/// Init containers one after the other, then everything else at once; sidecars from where they stand in the order.
async fn containers(context: &Context, live: &Arc<LivePod>, runs: Vec<Run>) {
    live.prepare(
        runs.iter()
            .map(|run| (run.spec.clone(), run.environment.clone())),
    );
    let start = |run: Run| container::live(live.clone(), context.children.clone(), run);
    let is_init: Vec<bool> = {
        let state = live.state();
        state.containers.iter().map(|one| one.is_init).collect()
    };
    let mut together = Vec::new();
    let mut sidecars = futures_util::stream::FuturesUnordered::new();
    for run in runs {
        if is_init.get(run.index) != Some(&true) {
            let is_sidecar = run.container.is_sidecar();
            if is_sidecar {
                sidecars.push(start(run))
            } else {
                together.push(start(run))
            }
            continue;
        }
        let init = start(run);
        tokio::pin!(init);
        let exit = loop {
            tokio::select! {
                exit = &mut init => break exit,
                Some(_) = futures_util::StreamExt::next(&mut sidecars) => {}
            }
        };
        if !exit.is_success() {
            return;
        }
    }
    let rest = async { while futures_util::StreamExt::next(&mut sidecars).await.is_some() {} };
    tokio::join!(join_all(together), rest);
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
                tracing::warn!(error = %crate::chain(&error), "cannot renew a token");
            }
        }
    }
}

async fn take_down(context: &Context, pod: &Pod, wish: &PodWish, live: &LivePod) {
    live.update(|state| state.is_ending = true);
    live.signal(Signal::SIGTERM);
    let processes = live.processes();
    let all_ended = join_all(processes.iter().map(|process| process.wait()));
    let _ = timeout(wish.grace(), all_ended).await;
    live.signal(Signal::SIGKILL);
    if let Some(slot) = live.slot {
        // What daemons left behind lives in the pod's network too.
        let inode = inode(live.network.path());
        let killed = tokio::task::spawn_blocking(move || inode.map(kill_namespace));
        let _ = killed.await;
        if context.mesh
            && let Err(error) = call(context, live, "DEL").await
        {
            tracing::warn!(pod = %live.name, error = %crate::chain(&error), "CNI DEL failed");
        }
        if let Err(error) = live.network.clone().remove() {
            tracing::warn!(pod = %live.name, error = %crate::chain(&error), "namespace left behind");
        }
        context
            .pods
            .give_slot_back(live.node.addresses.number, slot);
    }
    let _ = std::fs::remove_dir_all(&live.folder);
    tracing::debug!(pod = %pod.metadata.name, "pod is gone");
}

fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|meta| meta.ino())
}

async fn call(
    context: &Context,
    live: &LivePod,
    command: &'static str,
) -> Result<(), plugin::Error> {
    let Some(slot) = live.slot else { return Ok(()) };
    let environment = live.node.agent_environment(&context.place.cluster());
    let call = Call {
        children: &context.children,
        node_network: live.node.namespace.path(),
        environment: &environment,
        agent_folder: &live.node.agent_folder(),
        folder: &live.folder,
        log: &context
            .place
            .logs()
            .join(format!("cni-plugin_{}.log", live.node.name)),
        pod_network: live.network.path(),
        namespace: &live.name.namespace,
        name: &live.name.name,
        uid: &live.uid,
        slot,
        addresses: live.addresses,
    };
    call.make(command).await
}
