//! Pure. Sources and operations: one alternative of a clause each.

use std::sync::Arc;

use mesh::model::{Match, RequestMatch, StringMatch};
use objects::istio::authorization_policy::{Operation, Source, Values};
use objects::raw::Path;

use super::notes::{Enforcer, Notes};
use super::{request, value};
use crate::translate::rule::Rule;

/// Why CUSTOM policies have no conditions on tokens.
pub(super) const BEFORE_TOKENS: &str =
    "CUSTOM policies are evaluated before tokens are looked at: no condition on tokens can hold";

/// One alternative of a clause.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// What of it L4 can enforce.
    pub(super) found: Match,
    /// Whether something of it is missing there.
    pub(super) is_partial: bool,
}

/// Reads the lists of one alternative, and notes where nothing may be read.
pub(super) struct Reader<'a, 'n> {
    /// The alternative itself.
    pub(super) path: &'a Path,
    /// What was noticed.
    pub(super) notes: &'a mut Notes<'n>,
    /// Whether anything was written at all.
    pub(super) is_written: bool,
    /// Whether something cannot be enforced.
    pub(super) is_partial: bool,
}

impl<'a, 'n> Reader<'a, 'n> {
    pub(super) fn new(path: &'a Path, notes: &'a mut Notes<'n>) -> Self {
        Self {
            path,
            notes,
            is_written: false,
            is_partial: false,
        }
    }

    /// A list that L4 can enforce.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        values: &Values,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let found = value::list(values, &self.path.clone().key(key), self.notes, read);
        self.is_written |= values.is_some();
        self.is_partial |= values.is_some() && found.is_none();
        found.unwrap_or_default()
    }

    /// A list of patterns of identities.
    pub(super) fn identities(
        &mut self,
        key: &str,
        values: &Values,
        read: impl Fn(&str) -> Result<StringMatch, String>,
    ) -> Vec<StringMatch> {
        let found = self.list(key, values, read);
        for (index, pattern) in found.iter().enumerate() {
            let path = self.path.clone().key(key).at(index);
            self.notes.check_identity(pattern, path);
        }
        found
    }

    /// A list that only a waypoint can enforce.
    fn beyond<T>(
        &mut self,
        key: &str,
        values: &Values,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        if self.notes.knows_requests() {
            return self.list(key, values, read);
        }
        if values.is_some() {
            self.is_written = true;
            self.is_partial = true;
            let reason = format!("{key} cannot be enforced at L4");
            self.notes
                .add(Rule::L7AtL4, self.path.clone().key(key), reason);
        }
        Vec::new()
    }

    /// The same about tokens, which are looked at after CUSTOM policies.
    fn of_token(&mut self, key: &str, values: &Values) -> Vec<StringMatch> {
        if self.notes.enforcer() == Enforcer::WaypointBeforeTokens && values.is_some() {
            self.is_written = true;
            self.is_partial = true;
            let path = self.path.clone().key(key);
            self.notes.invalid(path, BEFORE_TOKENS);
            return Vec::new();
        }
        self.beyond(key, values, value::pattern)
    }

    pub(super) fn piece(mut self, found: Match) -> Piece {
        if self.notes.unread_below(self.path).is_some() {
            // Whatever it would ask for is not enforced.
            self.is_written = true;
            self.is_partial = true;
        }
        if !self.is_written {
            let reason = "nothing is asked for here: leave the entry out to mean anything";
            self.notes.invalid(self.path.clone(), reason);
        }
        Piece {
            found,
            is_partial: self.is_partial || !self.is_written,
        }
    }
}

/// Who connects; `namespace` is the policy's own.
pub(super) fn source(
    namespace: &str,
    source: &Source,
    path: &Path,
    notes: &mut Notes<'_>,
) -> Piece {
    let mut reader = Reader::new(path, notes);
    let mut request = RequestMatch {
        request_principals: reader.of_token("requestPrincipals", &source.request_principals),
        not_request_principals: reader
            .of_token("notRequestPrincipals", &source.not_request_principals),
        remote_ips: reader.beyond("remoteIpBlocks", &source.remote_ip_blocks, value::range),
        not_remote_ips: reader.beyond(
            "notRemoteIpBlocks",
            &source.not_remote_ip_blocks,
            value::range,
        ),
        ..RequestMatch::default()
    };
    let account = |text: &str| value::account(namespace, text);
    let principals = reader.identities("principals", &source.principals, value::principal);
    let mut not_principals =
        reader.identities("notPrincipals", &source.not_principals, value::principal);
    let (domains, not_domains) = (&source.trust_domains, &source.not_trust_domains);
    let domains = if reader.notes.knows_requests() {
        request.trust_domains = reader.list("trustDomains", domains, request::trust_domain);
        request.not_trust_domains =
            reader.list("notTrustDomains", not_domains, request::trust_domain);
        Vec::new()
    } else {
        // Both are about the identity, and none of either may match.
        let not_domains = reader.identities("notTrustDomains", not_domains, value::trust_domain);
        not_principals.extend(not_domains);
        reader.identities("trustDomains", domains, value::trust_domain)
    };
    let found = Match {
        namespaces: reader.list("namespaces", &source.namespaces, value::pattern),
        not_namespaces: reader.list("notNamespaces", &source.not_namespaces, value::pattern),
        not_principals,
        service_accounts: reader.list("serviceAccounts", &source.service_accounts, account),
        not_service_accounts: reader.list(
            "notServiceAccounts",
            &source.not_service_accounts,
            account,
        ),
        source_ips: reader.list("ipBlocks", &source.ip_blocks, value::range),
        not_source_ips: reader.list("notIpBlocks", &source.not_ip_blocks, value::range),
        request: boxed(request),
        ..Match::default()
    };
    by_principals(reader, both(principals, domains), found, path)
}

/// The match with the principals that are in one of the trust domains.
fn by_principals(
    mut reader: Reader<'_, '_>,
    principals: Result<Vec<StringMatch>, Unequal>,
    found: Match,
    path: &Path,
) -> Piece {
    match principals {
        Ok(principals) => reader.piece(Match {
            principals,
            ..found
        }),
        Err(Unequal::Nothing) => {
            let reason =
                "none of these principals is in one of the trustDomains: this never matches";
            reader
                .notes
                .add(Rule::NeverMatches, path.clone().key("principals"), reason);
            // A match without any field never matches.
            reader.piece(Match::default())
        }
        Err(Unequal::Unknown) => {
            let reason = "node proxies cannot match these together with principals by their end";
            reader
                .notes
                .invalid(path.clone().key("trustDomains"), reason);
            reader.is_partial = true;
            reader.piece(found)
        }
    }
}

/// What is done.
pub(super) fn operation(operation: &Operation, path: &Path, notes: &mut Notes<'_>) -> Piece {
    let mut reader = Reader::new(path, notes);
    let request = RequestMatch {
        hosts: reader.beyond("hosts", &operation.hosts, value::pattern),
        not_hosts: reader.beyond("notHosts", &operation.not_hosts, value::pattern),
        methods: reader.beyond("methods", &operation.methods, value::pattern),
        not_methods: reader.beyond("notMethods", &operation.not_methods, value::pattern),
        paths: reader.beyond("paths", &operation.paths, request::path),
        not_paths: reader.beyond("notPaths", &operation.not_paths, request::path),
        ..RequestMatch::default()
    };
    let found = Match {
        destination_ports: reader.list("ports", &operation.ports, value::port),
        not_destination_ports: reader.list("notPorts", &operation.not_ports, value::port),
        request: boxed(request),
        ..Match::default()
    };
    reader.piece(found)
}

/// Conditions on requests, where there are any.
pub(super) fn boxed(request: RequestMatch) -> Option<Box<RequestMatch>> {
    (request != RequestMatch::default()).then(|| Box::new(request))
}

/// Why two lists of patterns are not one.
enum Unequal {
    /// No text matches both.
    Nothing,
    /// A list of patterns cannot say it.
    Unknown,
}

/// Patterns for what matches one of each list, where an empty list is no condition.
fn both(one: Vec<StringMatch>, two: Vec<StringMatch>) -> Result<Vec<StringMatch>, Unequal> {
    if one.is_empty() || two.is_empty() {
        return Ok(if one.is_empty() { two } else { one });
    }
    let mut found = Vec::new();
    for pattern in &one {
        for domain in &two {
            found.extend(meet(pattern, domain)?);
        }
    }
    if found.is_empty() {
        return Err(Unequal::Nothing);
    }
    Ok(found)
}

/// The pattern for what matches both.
fn meet(one: &StringMatch, two: &StringMatch) -> Result<Option<StringMatch>, Unequal> {
    use StringMatch::{Exact, Prefix, Presence, Suffix};
    let starts = |text: &Arc<str>, with: &Arc<str>| text.starts_with(&**with);
    Ok(match (one, two) {
        (Presence, other) | (other, Presence) => Some(other.clone()),
        (Exact(text), Exact(other)) => (text == other).then(|| one.clone()),
        (Exact(text), Prefix(prefix)) => starts(text, prefix).then(|| one.clone()),
        (Prefix(prefix), Exact(text)) => starts(text, prefix).then(|| two.clone()),
        (Prefix(long), Prefix(short)) if starts(long, short) => Some(one.clone()),
        (Prefix(short), Prefix(long)) => starts(long, short).then(|| two.clone()),
        (Suffix(_), _) | (_, Suffix(_)) => return Err(Unequal::Unknown),
    })
}
