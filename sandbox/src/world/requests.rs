//! Carries out what the control socket is asked.

use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use objects::gateway_api::Gateway;
use objects::kinds::{Key, Kind};
use objects::kubernetes::Pod;
use tokio::time::timeout;

use super::World;
use super::settled::{waits_for, why_not_ready};
use crate::apply;
use crate::capture::open::open;
use crate::cluster::View;
use crate::exec::Spec;
use crate::kubelet::container_log;
use crate::messages::{
    Answer, NodeStatus, PodName, PodStatus, Request, Status, Target, WaypointStatus,
};
use crate::network::topology::pod_port;
use crate::process::{Environment, Process, Streams};
use crate::programs::Program;
use crate::roles::waypoints;

/// How long `apply` waits until everybody inside can see what it wrote.
const VISIBLE: Duration = Duration::from_secs(5);
/// The agent's mark on enrolled pods (contract: eligibility, docs/compat.md).
const ENROLLED: (&str, &str) = ("ambient.istio.io/redirection", "enabled");

/// An answer, or the reason why not in one line.
pub(crate) type Outcome = Result<(Answer, Option<OwnedFd>), String>;

impl World {
    /// Carries one request out. Dropping the future ends what it started.
    pub(crate) async fn carry_out(&self, request: Request, descriptors: Vec<OwnedFd>) -> Outcome {
        let done = |lines| Ok((Answer::Done(lines), None));
        match request {
            Request::Apply { yaml } => done(self.apply(&yaml).await?),
            Request::Delete {
                kind,
                namespace,
                name,
            } => done(self.delete(&kind, &namespace, &name).await?),
            Request::Exec {
                target,
                command,
                environment,
            } => {
                let streams = descriptors
                    .try_into()
                    .map_err(|_| "exec needs three descriptors")?;
                let (mut spec, mut all) = self.beside(&target)?;
                spec.command = command;
                all.extend(environment);
                self.exec(&spec, &all, streams).await
            }
            Request::WaitReady { pod, milliseconds } => {
                self.wait_ready(&pod, Duration::from_millis(milliseconds))
                    .await?;
                done(Vec::new())
            }
            Request::WaitSettled { milliseconds } => {
                self.wait_settled(Duration::from_millis(milliseconds))
                    .await?;
                done(Vec::new())
            }
            Request::Status => Ok((Answer::Status(Box::new(self.status())), None)),
            Request::Kill { program, hold } => {
                self.program(&program)?.kill(hold).await;
                done(Vec::new())
            }
            Request::Stop { program } => {
                self.program(&program)?.ask_to_end();
                done(Vec::new())
            }
            Request::Start { program } => {
                self.program(&program)?.release();
                done(Vec::new())
            }
            Request::Capture { pod } => Ok((Answer::Capture, Some(self.capture(&pod)?))),
            Request::Down => done(Vec::new()),
        }
    }

    async fn apply(&self, yaml: &str) -> Result<Vec<String>, String> {
        let (context, view) = (&self.context, self.context.cluster.view());
        let applied = apply::apply(&context.place.cluster(), &context.sink, &view, yaml)
            .map_err(|error| mesh::telemetry::report(&error))?;
        let all_there = |view: &View| {
            applied
                .keys
                .iter()
                .all(|key| view.get(key).is_some())
                .then_some(())
        };
        let _ = timeout(VISIBLE, context.cluster.until(all_there)).await;
        Ok(applied.lines)
    }

    async fn delete(&self, kind: &str, namespace: &str, name: &str) -> Result<Vec<String>, String> {
        let (context, view) = (&self.context, self.context.cluster.view());
        let gone = apply::delete(
            &context.place.cluster(),
            &view,
            &context.sink,
            kind,
            namespace,
            name,
        )
        .map_err(|error| mesh::telemetry::report(&error))?;
        let none_left = |view: &View| gone.iter().all(|key| view.get(key).is_none()).then_some(());
        let _ = timeout(VISIBLE, context.cluster.until(none_left)).await;
        Ok(gone.iter().map(|key| format!("{key} deleted")).collect())
    }

    /// How to run a command beside what `target` names.
    fn beside(&self, target: &Target) -> Result<(Spec, Environment), String> {
        match target {
            Target::ControlPlane => Ok(<(Spec, Environment)>::default()),
            Target::Node(name) => {
                let node = self.context.nodes.iter().find(|node| node.name == *name);
                let node = node.ok_or_else(|| format!("there is no node {name}"))?;
                Ok((node.spec(), Vec::new()))
            }
            Target::Pod(name) => {
                let pod = self.context.pods.find(name);
                let pod =
                    pod.ok_or_else(|| format!("there is no pod {name}{}", self.hint(name)))?;
                let main = pod.state().containers.iter().position(|one| !one.is_init);
                main.and_then(|index| pod.joining(index))
                    .ok_or_else(|| format!("pod {name} has no container yet{}", self.hint(name)))
            }
        }
    }

    /// What is known about why a pod is not there.
    fn hint(&self, name: &PodName) -> String {
        let view = self.context.cluster.view();
        let message = why_not_ready(&view, name);
        message
            .map(|message| format!(": {message}"))
            .unwrap_or_default()
    }

    async fn exec(
        &self,
        spec: &Spec,
        environment: &[(String, String)],
        streams: [OwnedFd; 3],
    ) -> Outcome {
        let process = self
            .context
            .children
            .start(spec, environment, Streams::Given(streams))
            .map_err(|error| format!("cannot start the command: {error}"))?;
        let process = Abandoned(process);
        Ok((Answer::Exited(process.0.wait().await), None))
    }

    async fn wait_ready(&self, name: &PodName, patience: Duration) -> Result<(), String> {
        let is_ready = |view: &View| {
            view.pod(&name.namespace, &name.name)
                .filter(|pod| pod.is_ready())
                .map(drop)
        };
        match timeout(patience, self.context.cluster.until(is_ready)).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let view = self.context.cluster.view();
                let why = match view.pod(&name.namespace, &name.name) {
                    None => "there is no such pod".to_owned(),
                    Some(pod) => why_not_ready(&view, name)
                        .unwrap_or_else(|| format!("it is {:?}", pod.status.phase)),
                };
                Err(format!(
                    "pod {name} was not ready within {patience:?}: {why}"
                ))
            }
        }
    }

    async fn wait_settled(&self, patience: Duration) -> Result<(), String> {
        let mesh = self.context.mesh;
        let cluster = &self.context.cluster;
        let is_settled = |view: &View| waits_for(view, mesh).is_none().then_some(());
        if timeout(patience, cluster.until(is_settled)).await.is_ok() {
            return Ok(());
        }
        match waits_for(&cluster.view(), mesh) {
            None => Ok(()),
            Some(why) => Err(format!("not settled within {patience:?}: {why}")),
        }
    }

    fn capture(&self, name: &PodName) -> Result<OwnedFd, String> {
        let pod = self
            .context
            .pods
            .find(name)
            .ok_or_else(|| format!("there is no pod {name}"))?;
        let slot = pod
            .slot
            .ok_or_else(|| format!("pod {name} has no link of its own"))?;
        open(&pod.node.namespace, &pod_port(slot)).map_err(|error| mesh::telemetry::report(&error))
    }

    fn program(&self, name: &str) -> Result<&Program, String> {
        let program = self.programs.iter().find(|program| program.name() == name);
        let names = || {
            self.programs
                .iter()
                .map(|one| one.name())
                .collect::<Vec<_>>()
                .join(", ")
        };
        program
            .map(|one| &**one)
            .ok_or_else(|| format!("there is no program {name} (there are: {})", names()))
    }

    fn status(&self) -> Status {
        let view = self.context.cluster.view();
        let nodes = self.context.nodes.iter().map(|node| NodeStatus {
            name: node.name.clone(),
            addresses: vec![
                node.addresses.internal_v4().into(),
                node.addresses.internal_v6().into(),
            ],
        });
        let services = view.services().map(|service| {
            let name = format!("{}/{}", service.metadata.namespace, service.metadata.name);
            (
                name,
                service
                    .addresses()
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            )
        });
        Status {
            name: self.orders.options.name.clone(),
            nodes: nodes.collect(),
            programs: self
                .programs
                .iter()
                .map(|program| program.status())
                .collect(),
            pods: view.pods().map(|pod| pod_status(&view, pod)).collect(),
            waypoints: waypoints::deployed(&view)
                .map(|(gateway, pods)| self.waypoint_status(gateway, &pods))
                .collect(),
            services: services.collect(),
            problems: view.problems().map(ToString::to_string).collect(),
            logs: self.context.place.logs(),
        }
    }
}

impl World {
    fn waypoint_status(&self, gateway: &Gateway, pods: &[&Pod]) -> WaypointStatus {
        let meta = &gateway.metadata;
        let pod = |pod: &&Pod| {
            let name = PodName {
                namespace: pod.metadata.namespace.clone(),
                name: pod.metadata.name.clone(),
            };
            let log = container_log(&self.context.place, &name, waypoints::CONTAINER);
            (name, log)
        };
        WaypointStatus {
            gateway: format!("{}/{}", meta.namespace, meta.name),
            address: gateway.status.addresses.first().map(|it| it.value.clone()),
            pods: pods.iter().map(pod).collect(),
        }
    }
}

fn pod_status(view: &View, pod: &Pod) -> PodStatus {
    let meta = &pod.metadata;
    let name = PodName {
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
    };
    let raw = view
        .get(&Key::new(Kind::Pod, &meta.namespace, &meta.name))
        .map(|object| object.raw());
    let restarts = raw
        .as_ref()
        .and_then(|raw| raw.pointer("/status/containerStatuses")?.as_array())
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("restartCount")?.as_u64())
        .sum::<u64>();
    PodStatus {
        node: Some(pod.spec.node_name.clone()).filter(|node| !node.is_empty()),
        addresses: pod.addresses(),
        phase: format!("{:?}", pod.status.phase),
        ready: pod.is_ready(),
        restarts: u32::try_from(restarts).unwrap_or(u32::MAX),
        message: why_not_ready(view, &name),
        enrolled: meta.annotations.is(ENROLLED.0, ENROLLED.1),
        pod: name,
    }
}

/// A command whose asker may hang up: then it ends.
struct Abandoned(Process);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.signal_group(Signal::SIGKILL);
    }
}
