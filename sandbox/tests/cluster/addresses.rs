//! Pods that ask for an address of their own choice.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::ensure;

use crate::Test;
use crate::machine::until;
use crate::pods::{addresses, pod, ready, up};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Test> {
    vec![(
        "a_pod_gets_the_address_it_asks_for_or_says_why_not",
        wanted_address,
    )]
}

fn wish(name: &str, address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  annotations: {{weft.dev/ipv4-address: \"{address}\"}}\n\
         spec:\n  nodeName: node-1\n  terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    \
         image: weft.dev/echo:latest\n"
    )
}

fn wanted_address() -> anyhow::Result<()> {
    let sandbox = up("address")?;
    sandbox.apply(&wish("first", "10.244.1.77"))?;
    ready(&sandbox, &["first"])?;
    let expected: IpAddr = "10.244.1.77".parse()?;
    ensure!(addresses(&sandbox, "first")? == [expected]);

    sandbox.apply(&wish("second", "10.244.1.77"))?;
    sandbox.apply(&wish("abroad", "10.244.2.77"))?;
    let message = |name: &str| {
        let pods = sandbox.status().ok()?.pods;
        pods.into_iter().find(|one| one.pod == pod(name))?.message
    };
    for name in ["second", "abroad"] {
        until("the pod says why it has no address", PATIENCE, || {
            message(name).is_some_and(|it| it.contains("another pod's, or none of node-1's"))
        })?;
    }
    sandbox.delete("Pod", "default", "first")?;
    ready(&sandbox, &["second"])?;
    ensure!(addresses(&sandbox, "second")? == [expected]);
    Ok(sandbox.down()?)
}
