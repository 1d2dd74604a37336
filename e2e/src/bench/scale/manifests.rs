//! Pure. The objects of a large mesh, as an API server would show them.

use std::fmt::Write;

/// Pods of a namespace.
pub(super) const PODS: usize = 100;
/// Services of a namespace, each in front of ten pods.
pub(super) const SERVICES: usize = 10;
/// Policies of a namespace, each for ten pods.
pub(super) const POLICIES: usize = 5;

/// Resources that are made of so many namespaces.
pub(super) fn resources(namespaces: usize) -> u64 {
    (namespaces * (PODS + SERVICES + POLICIES)) as u64
}

/// Files that so many namespaces are kept in.
pub(super) fn files(namespaces: usize) -> usize {
    namespaces * (1 + PODS + SERVICES + POLICIES)
}

/// A namespace and everything in it.
pub(super) fn namespace(number: usize) -> String {
    let mut text = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: crowd-{number}\n");
    for pod in 0..PODS {
        text.push_str(&self::pod(number, pod, "v0"));
    }
    for service in 0..SERVICES {
        text.push_str(&self::service(number, service, 9000));
    }
    for policy in 0..POLICIES {
        text.push_str(&self::policy(number, policy, "caller-0"));
    }
    text
}

/// A ready pod behind the service of its ten.
pub(super) fn pod(namespace: usize, number: usize, revision: &str) -> String {
    let count = namespace * PODS + number;
    let (high, low) = (count / 250, count % 250 + 1);
    let app = number / (PODS / SERVICES);
    let mut text = String::new();
    let _ = write!(
        text,
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-{number}\n  namespace: crowd-{namespace}\n  labels:\n    \
         app: app-{app}\n    version: {revision}\nspec:\n  nodeName: far-away-{}\n  serviceAccountName: app-{app}\n  \
         containers:\n    - name: app\n      image: weft.dev/echo\nstatus:\n  phase: Running\n  podIP: 10.100.{high}.{low}\n  \
         podIPs:\n    - ip: 10.100.{high}.{low}\n  conditions:\n    - type: Ready\n      status: 'True'\n",
        count % 100,
    );
    text
}

/// A service in front of ten pods.
pub(super) fn service(namespace: usize, number: usize, target_port: usize) -> String {
    let count = namespace * SERVICES + number;
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: app-{number}\n  namespace: crowd-{namespace}\nspec:\n  \
         clusterIP: 10.250.{}.{}\n  clusterIPs:\n    - 10.250.{}.{}\n  selector:\n    app: app-{number}\n  ports:\n    \
         - name: http\n      port: 80\n      targetPort: {target_port}\n",
        count / 250,
        count % 250 + 1,
        count / 250,
        count % 250 + 1,
    )
}

/// A policy that lets one caller in.
pub(super) fn policy(namespace: usize, number: usize, caller: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: app-{number}\n  namespace: \
         crowd-{namespace}\nspec:\n  selector:\n    matchLabels:\n      app: app-{number}\n  action: ALLOW\n  rules:\n    - from:\n        \
         - source:\n            principals:\n              - cluster.local/ns/crowd-{namespace}/sa/{caller}\n"
    )
}
