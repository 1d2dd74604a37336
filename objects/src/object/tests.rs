//! Tables for identifying and reading objects.

use std::path::Path as FilePath;
use std::sync::Arc;

use serde_json::json;

use super::{BadField, Object, Parts, identify};
use crate::kinds::Kind;
use crate::raw::{self, Document};

fn read(text: &str, patches: &[serde_json::Value]) -> Result<Object, BadField> {
    let document = raw::parse(text.as_bytes()).unwrap().remove(0);
    let key = identify(&document).unwrap();
    let parts = Parts {
        file: Arc::from(FilePath::new("a.yaml")),
        document: Arc::new(document.pack()),
        patches: patches
            .iter()
            .map(|patch| Arc::new(Document::without_lines(patch.clone()).pack()))
            .collect(),
    };
    Object::read(key, parts, 0)
}

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  dnsPolicy: Default
  containers:
  - name: main
    image: weft.dev/echo
    securityContext: {runAsUser: 1}
    ports:
    - {name: http, containerPort: 8080}
    readinessProbe:
      httpGet: {port: http, path: /ready}
  initContainers:
  - name: helper
    restartPolicy: Always
    livenessProbe:
      tcpSocket: {port: 9000}
";

#[test]
fn reads_what_it_needs_and_lists_the_rest_with_lines() {
    let object = read(POD, &[]).unwrap();
    let pod = object.pod().unwrap();
    assert_eq!(pod.metadata.namespace, "default");
    assert_eq!(pod.spec.service_account(), "default");
    assert_eq!(pod.metadata.uid.len(), 36);
    let unread: Vec<_> = object
        .unread()
        .iter()
        .map(|field| (field.path.to_string(), field.line))
        .collect();
    assert_eq!(
        unread,
        [
            ("spec.dnsPolicy".to_owned(), 7),
            ("spec.containers[0].securityContext".to_owned(), 11)
        ]
    );
    assert_eq!(object.line(), 1);
    assert!(object.service().is_none());
}

#[test]
fn patches_are_part_of_the_object() {
    let status = json!({"status": {"phase": "Running", "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
        "conditions": [{"type": "Ready", "status": "True"}]}});
    let annotation =
        json!({"metadata": {"annotations": {"ambient.istio.io/redirection": "enabled"}}});
    let object = read(POD, &[status, annotation]).unwrap();
    let pod = object.pod().unwrap();
    assert!(pod.is_ready() && !pod.has_ended());
    assert_eq!(pod.addresses().len(), 2);
    assert!(
        object
            .metadata()
            .annotations
            .is("ambient.istio.io/redirection", "enabled")
    );
    assert!(object.metadata().labels.is("app", "web"));
    assert_eq!(object.raw()["status"]["podIP"], "10.0.0.1");
    assert!(object.says_the_same(&object));
    assert!(!object.says_the_same(&read(POD, &[]).unwrap()));
}

#[test]
fn a_bad_field_is_named_with_its_line() {
    let start = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n";
    for (rest, path, line, reason) in [
        (
            "  - port: http\n",
            "spec.ports[0].port",
            6,
            "invalid type: string \"http\", expected u16",
        ),
        (
            "  - port: 1\n  - {}\n",
            "spec.ports[1]",
            7,
            "missing field `port`",
        ),
        (
            "  - port: 70000\n",
            "spec.ports[0].port",
            6,
            "invalid value: integer `70000`, expected u16",
        ),
        (
            "  - port: 1\n    protocol: ICMP\n",
            "spec.ports[0].protocol",
            7,
            "unknown variant `ICMP`, expected one of `TCP`, `UDP`, `SCTP`",
        ),
        (
            "  - port: 1\n    targetPort: 99999\n",
            "spec.ports[0].targetPort",
            7,
            "invalid value: integer `99999`, expected a port number or the name of a port",
        ),
        (
            "  - port: 1\n  selector:\n    tier: 1\n",
            "spec.selector.tier",
            8,
            "invalid type: integer `1`, expected a string",
        ),
    ] {
        let error = read(&format!("{start}{rest}"), &[]).unwrap_err();
        assert_eq!(
            (
                error.path.to_string().as_str(),
                error.line,
                error.reason.as_str()
            ),
            (path, line, reason)
        );
    }
}

#[test]
fn a_null_reads_as_absent() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: null}\nspec:\n  ports:\n  selector: ~\n";
    assert!(
        read(text, &[])
            .unwrap()
            .service()
            .unwrap()
            .spec
            .ports
            .is_empty()
    );
}

#[test]
fn the_value_of_a_secret_is_never_printed() {
    let text =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2}\n";
    let object = read(text, &[]).unwrap();
    assert_eq!(
        object.secret().unwrap().string_data["password"].reveal(),
        "hunter2"
    );
    let printed = format!("{object:?} {:?}", object.typed());
    assert!(!printed.contains("hunter2"), "{printed}");
    let error = read(&text.replace("hunter2", "31337"), &[]).unwrap_err();
    assert_eq!(error.path.to_string(), "stringData.password");
    assert!(!error.to_string().contains("31337"), "{error}");
}

#[test]
fn a_document_that_is_no_object_says_why() {
    for (text, field, reason) in [
        ("[1]", "", "the document is not a map of fields"),
        (
            "kind: Pod",
            "apiVersion",
            "the field is missing or not text",
        ),
        (
            "{apiVersion: v1, kind: Pod}",
            "metadata.name",
            "the field is missing or not text",
        ),
        (
            "{apiVersion: v1, kind: Lease}",
            "kind",
            "v1 Lease is not a kind that Weft reads",
        ),
        (
            "{apiVersion: apps/v1beta1, kind: Deployment}",
            "apiVersion",
            "Deployment is read as apps/v1, not as apps/v1beta1",
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: ../x}}",
            "metadata.name",
            "`../x` is no name: lower case letters, digits, `-` and `.` only, at most 253",
        ),
    ] {
        let document = raw::parse(text.as_bytes()).unwrap().remove(0);
        let stranger = identify(&document).unwrap_err();
        assert_eq!(
            (
                stranger.path().to_string().as_str(),
                stranger.to_string().as_str()
            ),
            (field, reason)
        );
    }
}

#[test]
fn every_kind_reads_its_smallest_document() {
    for kind in Kind::ALL {
        let facts = kind.facts();
        let needed = match kind {
            Kind::ServiceEntry => "hosts: [a.b]",
            Kind::WorkloadEntry => "address: 192.0.2.1",
            _ => "",
        };
        let spec = match needed {
            "" => String::new(),
            needed => format!("spec: {{{needed}}}\n"),
        };
        let text = format!(
            "apiVersion: {}\nkind: {}\nmetadata: {{name: a}}\n{spec}",
            kind.api_version(),
            facts.word
        );
        let object = read(&text, &[]).unwrap();
        assert_eq!(object.key().kind, *kind);
        assert_eq!(object.unread(), [], "{kind}");
    }
}

#[test]
fn what_can_be_read_and_not_be_meant_is_refused_with_its_line() {
    let text = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec:\n  \
                hosts: [a.b]\n  ports:\n  - {number: 80, name: p}\n  - {number: 80, name: q}\n";
    let bad = read(text, &[]).unwrap_err();
    assert_eq!(
        (bad.path.to_string().as_str(), bad.line),
        ("spec.ports[1].number", 8)
    );
}
