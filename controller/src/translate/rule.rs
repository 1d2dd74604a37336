//! Pure. The one table of what can be found in objects: how bad it is, its word, and what to do about it.
//!
//! The controller's problems, the conditions in status and `weft analyze` all name these rules.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; everything works as written.
    Info,
    /// Part of what was written has no effect, or another one than most would expect.
    Warning,
    /// What was written has no effect, or traffic is refused because of it.
    Error,
}

impl Severity {
    /// The word in listings.
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One row: severity, word, remedy.
type Row = (Severity, &'static str, &'static str);

/// Declares the enum and its rows side by side, so that no variant can lack one.
macro_rules! rules {
    ($( $(#[doc = $doc:literal])+ $name:ident = ($severity:ident, $word:literal, $remedy:literal) ),+ $(,)?) => {
        /// What can be found in an object.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $( $(#[doc = $doc])+ $name ),+ }

        impl Rule {
            /// All rules, in table order.
            pub const ALL: &'static [Rule] = &[ $( Rule::$name ),+ ];

            const fn row(self) -> Row {
                match self { $( Rule::$name => (Severity::$severity, $word, $remedy) ),+ }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $( Rule::$name => concat!($($doc),+).trim_ascii() ),+ }
            }
        }
    };
}

rules! {
    /// A file, a document or a field cannot be read; the object's last good version stays in force.
    Unreadable = (Error, "unreadable", "correct what the reason names"),
    /// A kind of the mesh's API that Weft does not read.
    KindNotRead = (Warning, "kind-not-read", "remove the object, or do not rely on it"),
    /// A kind that is none of a mesh's business.
    ForeignKind = (Info, "foreign-kind", "nothing: it is left alone"),
    /// A field that Weft does not read.
    UnreadField = (Warning, "unread-field", "remove the field, or do not rely on it"),
    /// Something that Weft knows and does not honour yet.
    NotHonoured = (Warning, "not-honoured", "remove it, or do not rely on it"),
    /// A field has a value that it cannot have.
    InvalidValue = (Error, "invalid-value", "use a value that the reason names"),
    /// MeshConfig cannot be taken over; the last good one stays in force.
    MeshConfigRefused = (Error, "mesh-config-refused", "correct the setting that the reason names"),
    /// The label `istio.io/dataplane-mode` has a value that it cannot have, and says nothing.
    DataplaneModeUnknown = (Error, "dataplane-mode-unknown", "write `ambient` or `none`"),
    /// A pod asks for the mesh and cannot be in it.
    NotEnrolled = (Warning, "not-enrolled", "remove what keeps it out, or label the pod `istio.io/dataplane-mode: none`"),
    /// A waypoint is asked for and there is none.
    WaypointMissing = (Error, "waypoint-missing", "deploy the waypoint, or label the object or namespace `weft.dev/waypoint-failure-mode: open`"),
    /// An L7 field stands where only L4 can be enforced.
    L7AtL4 = (Error, "l7-at-l4", "attach the policy to what a waypoint serves (targetRefs), or use fields that L4 knows; on a DENY policy the annotation `weft.dev/l7-deny-at-l4: ignore` restores Istio's reading"),
    /// An ALLOW rule is not enforced, so it admits nobody.
    AllowRuleLeftOut = (Error, "allow-rule-left-out", "correct or remove what in the rule cannot be enforced"),
    /// An ALLOW policy has lost all its rules, so it admits nobody.
    PolicyAdmitsNobody = (Error, "policy-admits-nobody", "correct its rules; write a policy without rules if nobody is what is meant"),
    /// A DENY rule has lost all its conditions, so it refuses everybody.
    DenyRefusesAll = (Error, "deny-refuses-all", "correct or remove what in the rule cannot be enforced"),
    /// A condition can never hold.
    NeverMatches = (Error, "never-matches", "correct the condition that the reason names, or remove it"),
    /// An action that node proxies do not know.
    UnsupportedAction = (Error, "unsupported-action", "use ALLOW or DENY, or attach the policy to what a waypoint serves"),
    /// A policy that changes nothing.
    PolicyWithoutEffect = (Warning, "policy-without-effect", "add a rule, or remove the policy"),
    /// A service account without a namespace is one of the root namespace.
    AccountOfRootNamespace = (Warning, "account-of-root-namespace", "write the account as `namespace/name`"),
    /// A policy names an identity that nobody who can connect has.
    ForeignIdentity = (Warning, "foreign-identity", "write identities as `<trust domain>/ns/<namespace>/sa/<service account>`, with MeshConfig's trustDomain"),
    /// A policy is for a waypoint, and no waypoint enforces it.
    PolicyWithoutWaypoint = (Error, "policy-without-waypoint", "use a selector for what L4 can enforce, or deploy a waypoint for the target"),
    /// An object names a server that MeshConfig does not have, or that is for something else.
    UnknownProvider = (Error, "unknown-provider", "add the server to `extensionProviders` of MeshConfig, or name one that is there"),
    /// Several external authorization servers are named for one target.
    SeveralProviders = (Error, "several-providers", "name the same provider in all CUSTOM policies of a target"),
    /// Pods take connections from their waypoint only, and they have none.
    WaypointRequiredUnbound = (Error, "waypoint-required-unbound", "bind a waypoint, or remove the label `weft.dev/waypoint-required`"),
    /// Pods that take connections from one waypoint only are behind another service too.
    WaypointRequiredShared = (Error, "waypoint-required-shared", "give both services the same waypoint, or pods of their own"),
    /// An older Telemetry object takes the place of this one.
    DuplicateTelemetry = (Error, "duplicate-telemetry", "remove one of the two"),
    /// An older PeerAuthentication takes the place of this one.
    DuplicatePeerAuthentication = (Error, "duplicate-peer-authentication", "remove one of the two"),
    /// A PeerAuthentication, or a part of one, stands where it has no effect.
    PeerAuthenticationIgnored = (Error, "peer-authentication-ignored", "write it into the namespace of the workloads, with a selector if it is for some or has ports"),
    /// DISABLE does not switch mutual TLS off.
    DisableIsPermissive = (Warning, "disable-is-permissive", "write PERMISSIVE, which says the same"),
    /// A waypoint is asked for and has no address yet.
    WaypointNotReady = (Error, "waypoint-not-ready", "look at the Gateway's status, or label the object or namespace `weft.dev/waypoint-failure-mode: open`"),
    /// A waypoint is asked for that does not admit the object.
    WaypointForbidden = (Error, "waypoint-forbidden", "let `allowedRoutes` of the waypoint's listener admit the namespace, or use a waypoint of the object's own namespace"),
    /// A waypoint is asked for that is not for this kind of traffic.
    WaypointUnsuited = (Warning, "waypoint-unsuited", "change the Gateway's label `istio.io/waypoint-for`, or remove the object's label"),
    /// A second waypoint gets no traffic.
    CanaryUnused = (Warning, "canary-unused", "correct what the reason names, or remove the canary's label"),
    /// Something only a waypoint can do is asked for without one.
    NeedsWaypoint = (Warning, "needs-waypoint", "name a waypoint with the label `istio.io/use-waypoint`"),
    /// The selector of a policy or a service chooses nobody, or a service names no endpoint.
    SelectsNothing = (Warning, "selects-nothing", "correct the labels of the selector, deploy what it is meant for, or remove the object"),
    /// A port of a service that leads to no port of any endpoint.
    PortWithoutEndpoint = (Error, "port-without-endpoint", "name a port that the endpoints have, or remove it"),
    /// A port whose protocol a mesh does not carry.
    NotCarried = (Info, "not-carried", "nothing, if it is meant to stay outside the mesh"),
    /// A service without ports.
    NoPort = (Warning, "no-port", "name the ports that clients use"),
    /// A host that no connection is recognised by.
    NoAddress = (Warning, "no-address", "give it an address in `spec.addresses`, or let one be allocated"),
    /// A host that another object has already.
    DuplicateHost = (Warning, "duplicate-host", "remove it from one of the two"),
    /// An endpoint that is there twice.
    DuplicateEndpoint = (Warning, "duplicate-endpoint", "remove one of the two"),
    /// A workload entry that no service selects.
    NobodySelects = (Info, "nobody-selects", "nothing, if it is to be reached by its address only"),
    /// A rule of a route cannot be honoured, and its requests are refused.
    RouteRuleRefused = (Error, "route-rule-refused", "correct or remove what the reason names"),
    /// A match of a route cannot be read, and nothing matches it.
    RouteMatchLeftOut = (Error, "route-match-left-out", "correct the match"),
    /// A route names a backend that is not there, or that cannot be one.
    BackendMissing = (Error, "backend-missing", "correct the reference, or create what it names"),
    /// A route or a policy names something to be attached to that is not there, or that cannot be attached to.
    ParentMissing = (Error, "parent-missing", "correct the reference, or create what it names"),
    /// A route or a policy names something to be attached to that is none of the mesh's.
    ForeignParent = (Info, "foreign-parent", "nothing: it is left to others"),
    /// Another object has already what this one asks for.
    Conflicted = (Error, "conflicted", "remove one of the two"),
    /// TLS to an application that cannot be verified as asked: connections are refused.
    BackendTlsRefused = (Error, "backend-tls-refused", "correct what the reason names"),
    /// A route is for a service without a waypoint, and has no effect.
    RouteWithoutWaypoint = (Error, "route-without-waypoint", "name a waypoint with the label `istio.io/use-waypoint` of the service or its namespace"),
    /// Something that counts at sidecars or gateways, and never at a waypoint.
    NotAtWaypoint = (Warning, "not-at-waypoint", "remove it, or do not rely on it for traffic through waypoints"),
    /// Something that is written changes nothing.
    WithoutEffect = (Warning, "without-effect", "complete it as the reason says, or remove it"),
    /// A route names something that is not there, or a part of it that is not.
    DestinationMissing = (Error, "destination-missing", "correct the name that the reason gives, or deploy what it means"),
    /// A route that no request comes to, because one before it takes them all.
    NeverReached = (Warning, "never-reached", "move it before the route that takes everything, or remove it"),
    /// TLS that is asked for and cannot be spoken: connections are refused.
    TlsNotUsable = (Error, "tls-not-usable", "name files with clientCertificate, privateKey and caCertificates"),
    /// An object that the mesh's configuration hides from everybody.
    Hidden = (Warning, "hidden", "remove it, or let serviceEntryVisibility of MeshConfig show it"),
}

impl Rule {
    /// How bad it is.
    pub const fn severity(self) -> Severity {
        self.row().0
    }

    /// Its word in listings; stable, lower case, `-` between parts.
    pub const fn word(self) -> &'static str {
        self.row().1
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        self.row().2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_are_unique_and_every_rule_says_what_to_do() {
        let words: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.word()).collect();
        assert_eq!(words.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            let is_plain =
                |byte: u8| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit();
            assert!(rule.word().bytes().all(is_plain), "{rule:?}");
            assert!(
                !rule.remedy().is_empty() && rule.meaning().ends_with('.'),
                "{rule:?}"
            );
        }
    }
}
