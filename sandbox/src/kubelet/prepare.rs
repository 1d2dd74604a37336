//! From a pod's specification to processes that can be started: files, mounts, users, commands.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use objects::kubernetes::pod::PodIp;
use objects::kubernetes::{Container, Pod};

use super::Context;
use super::container::{Restart, Run};
use super::files::{self, TokenFile};
use super::live::LivePod;
use super::wish::{self, PodWish, Refusal, SecurityContext};
use crate::exec::{Mount, Spec, User};
use crate::messages::PodName;
use crate::place::Place;
use crate::process::Environment;
use crate::roles::tokens::Bearer;

/// Why a pod cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Files(#[from] files::Error),
}

/// What all containers of a pod share.
struct Shared<'a> {
    context: &'a Context,
    live: &'a LivePod,
    wish: &'a PodWish,
    pod: &'a Pod,
    names: Vec<Mount>,
    hostname: String,
}

/// Where a container's output goes.
pub(crate) fn container_log(place: &Place, pod: &PodName, container: &str) -> PathBuf {
    let file = format!("{}_{}_{container}.log", pod.namespace, pod.name);
    place.logs().join(file)
}

/// Writes the pod's files; answers with what to run and which tokens to renew. May be called again after a failure.
pub(super) fn prepare(
    context: &Context,
    pod: &Pod,
    wish: &PodWish,
    live: &Arc<LivePod>,
) -> Result<(Vec<Run>, Vec<TokenFile>), Error> {
    let hostname = wish
        .hostname
        .clone()
        .unwrap_or_else(|| pod.metadata.name.clone());
    let addresses: Vec<IpAddr> = live.addresses.all().collect();
    let folder = live.folder.join("names");
    let names = files::name_files(&folder, &live.name.namespace, &hostname, &addresses)?;
    let bearer = Bearer {
        namespace: live.name.namespace.clone(),
        service_account: pod.spec.service_account().to_owned(),
        pod: live.name.name.clone(),
        pod_uid: live.uid.clone(),
        node: live.node.name.clone(),
    };
    let (volumes, view) = (live.folder.join("volumes"), context.cluster.view());
    let tokens = files::make_volumes(&volumes, wish, &bearer, &context.issuer, &view)?;
    // With the addresses that the pod has by now, for its environment.
    let mut known = pod.clone();
    known.status.pod_ips = addresses.into_iter().map(|ip| PodIp { ip }).collect();
    let shared = Shared {
        context,
        live,
        wish,
        pod: &known,
        names,
        hostname,
    };
    let policy = Restart::read(pod.spec.restart_policy.as_deref());
    let all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    let mut runs = Vec::new();
    for (index, container) in all.enumerate() {
        let is_init = index < pod.spec.init_containers.len();
        let restart = match (is_init, container.is_sidecar()) {
            (true, false) if policy == Restart::Never => Restart::Never,
            (true, false) => Restart::OnFailure,
            (true, true) => Restart::Always,
            (false, _) => policy,
        };
        let (spec, environment) = shared.how_to_run(container)?;
        let log = container_log(&context.place, &live.name, &container.name);
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

impl Shared<'_> {
    /// One container's namespaces, mounts, user and command.
    fn how_to_run(&self, container: &Container) -> Result<(Spec, Environment), Error> {
        let own = self.wish.container(&container.name);
        // A container's own `/run` and shared memory: programs of two pods do not meet there, what they leave goes with
        // them, and `/run` has room for mounts.
        let own_folders = ["/run", "/dev/shm"].map(PathBuf::from).into_iter();
        let mut mounts: Vec<Mount> = own_folders
            .filter(|folder| folder.is_dir())
            .map(|target| Mount::Empty { target })
            .collect();
        mounts.extend(self.names.iter().cloned());
        let volumes = self.live.folder.join("volumes");
        mounts.extend(files::volume_mounts(
            &volumes,
            self.wish,
            &own.volume_mounts,
        )?);
        let is_built_in = container.command.is_empty();
        let is_privileged = own.security_context.privileged.unwrap_or_default();
        let spec = Spec {
            network: Some(self.live.network.path().to_owned()),
            join: None,
            mounts,
            hide: self.context.place.hidden_from_pods(),
            hostname: (!self.pod.spec.host_network).then(|| self.hostname.clone()),
            user: self.user(&own.security_context),
            is_confined: !is_privileged,
            directory: Some(
                own.working_dir
                    .clone()
                    .unwrap_or_else(|| PathBuf::from("/")),
            ),
            command: wish::command(container)?,
            name: is_built_in.then(|| "weft".to_owned()),
        };
        Ok((spec, wish::environment(self.pod, &own)))
    }

    fn user(&self, own: &SecurityContext) -> Option<User> {
        let of_pod = &self.wish.security_context;
        let uid = own.run_as_user.or(of_pod.run_as_user)?;
        if uid == 0 {
            return None;
        }
        let gid = own.run_as_group.or(of_pod.run_as_group).unwrap_or(uid);
        Some(User {
            uid,
            gid,
            nested: !self.context.many_ids,
        })
    }
}
