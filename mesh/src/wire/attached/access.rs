//! Who may ask, both ways. Patterns are those of the policies of node proxies.

use proto::security;
use proto::waypoint as pb;

use crate::model::attached::{RequestAction, RequestAuthorization};
use crate::model::{
    ClaimPatterns, Clause, Match, NamedPatterns, PathPattern, RequestMatch, Rule, StringMatch,
};
use crate::wire::field::{Subject, all, texts, texts_message};
use crate::wire::policy::{
    accounts, accounts_message, ports, ports_message, ranges, ranges_message, string,
    string_message, strings, strings_message,
};
use crate::wire::{Error, Problem};

pub(super) fn authorization(
    subject: Subject<'_>,
    message: pb::Authorization,
) -> Result<RequestAuthorization, Error> {
    let action = match subject.known("authorization.action", message.action)? {
        pb::Action::Allow => RequestAction::Allow,
        pb::Action::Deny => RequestAction::Deny,
        pb::Action::Audit => RequestAction::Audit,
        pb::Action::Custom => RequestAction::Custom(message.provider.into()),
    };
    Ok(RequestAuthorization {
        action,
        rules: all(message.rules, |it| rule(subject, it))?,
        dry_run: message.dry_run,
    })
}

pub(super) fn authorization_message(policy: &RequestAuthorization) -> pb::Authorization {
    let RequestAuthorization {
        action,
        rules,
        dry_run,
    } = policy;
    let (action, provider) = match action {
        RequestAction::Allow => (pb::Action::Allow, String::new()),
        RequestAction::Deny => (pb::Action::Deny, String::new()),
        RequestAction::Audit => (pb::Action::Audit, String::new()),
        RequestAction::Custom(provider) => (pb::Action::Custom, provider.to_string()),
    };
    pb::Authorization {
        action: action.into(),
        provider,
        rules: rules.iter().map(rule_message).collect(),
        dry_run: *dry_run,
    }
}

fn rule(subject: Subject<'_>, message: pb::AccessRule) -> Result<Rule, Error> {
    let clause = |message: pb::AccessClause| {
        let matches = all(message.matches, |it| one_match(subject, it))?;
        Ok(Clause { matches })
    };
    let clauses = all(message.clauses, clause)?;
    Ok(Rule { clauses })
}

fn rule_message(rule: &Rule) -> pb::AccessRule {
    let clause = |clause: &Clause| pb::AccessClause {
        matches: clause.matches.iter().map(match_message).collect(),
    };
    pb::AccessRule {
        clauses: rule.clauses.iter().map(clause).collect(),
    }
}

fn one_match(subject: Subject<'_>, message: pb::AccessMatch) -> Result<Match, Error> {
    let strings = |field, messages| strings(subject, field, messages);
    let ranges = |field, messages: Vec<security::Address>| ranges(subject, field, &messages);
    let ports = |field, numbers: Vec<u32>| ports(subject, field, &numbers);
    let request = message.request.map(|it| request(subject, it));
    Ok(Match {
        namespaces: strings("namespaces", message.namespaces)?,
        not_namespaces: strings("not_namespaces", message.not_namespaces)?,
        principals: strings("principals", message.principals)?,
        not_principals: strings("not_principals", message.not_principals)?,
        service_accounts: accounts(message.service_accounts),
        not_service_accounts: accounts(message.not_service_accounts),
        source_ips: ranges("source_ips", message.source_ips)?,
        not_source_ips: ranges("not_source_ips", message.not_source_ips)?,
        destination_ips: ranges("destination_ips", message.destination_ips)?,
        not_destination_ips: ranges("not_destination_ips", message.not_destination_ips)?,
        destination_ports: ports("destination_ports", message.destination_ports)?,
        not_destination_ports: ports("not_destination_ports", message.not_destination_ports)?,
        request: request.transpose()?.map(Box::new),
    })
}

fn match_message(it: &Match) -> pb::AccessMatch {
    let Match {
        namespaces,
        not_namespaces,
        principals,
        not_principals,
        service_accounts,
        not_service_accounts,
        source_ips,
        not_source_ips,
        destination_ips,
        not_destination_ips,
        destination_ports,
        not_destination_ports,
        request,
    } = it;
    pb::AccessMatch {
        namespaces: strings_message(namespaces),
        not_namespaces: strings_message(not_namespaces),
        principals: strings_message(principals),
        not_principals: strings_message(not_principals),
        service_accounts: accounts_message(service_accounts),
        not_service_accounts: accounts_message(not_service_accounts),
        source_ips: ranges_message(source_ips),
        not_source_ips: ranges_message(not_source_ips),
        destination_ips: ranges_message(destination_ips),
        not_destination_ips: ranges_message(not_destination_ips),
        destination_ports: ports_message(destination_ports),
        not_destination_ports: ports_message(not_destination_ports),
        request: request.as_deref().map(request_message),
    }
}

fn request(subject: Subject<'_>, message: pb::RequestMatch) -> Result<RequestMatch, Error> {
    let strings = |field, messages| strings(subject, field, messages);
    let ranges = |field, messages: Vec<security::Address>| ranges(subject, field, &messages);
    let paths =
        |field, messages: Vec<pb::PathPattern>| all(messages, |it| path(subject, field, it));
    let header = |message: pb::NamedPatterns| {
        Ok(NamedPatterns {
            name: message.name.into(),
            values: strings("headers.values", message.values)?,
            not_values: strings("headers.not_values", message.not_values)?,
        })
    };
    let claim = |message: pb::ClaimPatterns| {
        if message.path.is_empty() {
            return Err(subject.error("claims.path", Problem::Missing));
        }
        Ok(ClaimPatterns {
            path: texts(message.path),
            values: strings("claims.values", message.values)?,
            not_values: strings("claims.not_values", message.not_values)?,
        })
    };
    let not_principals = message.not_request_principals;
    Ok(RequestMatch {
        trust_domains: strings("trust_domains", message.trust_domains)?,
        not_trust_domains: strings("not_trust_domains", message.not_trust_domains)?,
        remote_ips: ranges("remote_ips", message.remote_ips)?,
        not_remote_ips: ranges("not_remote_ips", message.not_remote_ips)?,
        server_names: strings("server_names", message.server_names)?,
        not_server_names: strings("not_server_names", message.not_server_names)?,
        hosts: strings("hosts", message.hosts)?,
        not_hosts: strings("not_hosts", message.not_hosts)?,
        methods: strings("methods", message.methods)?,
        not_methods: strings("not_methods", message.not_methods)?,
        paths: paths("paths", message.paths)?,
        not_paths: paths("not_paths", message.not_paths)?,
        request_principals: strings("request_principals", message.request_principals)?,
        not_request_principals: strings("not_request_principals", not_principals)?,
        headers: all(message.headers, header)?,
        claims: all(message.claims, claim)?,
    })
}

fn request_message(request: &RequestMatch) -> pb::RequestMatch {
    let RequestMatch {
        trust_domains,
        not_trust_domains,
        remote_ips,
        not_remote_ips,
        server_names,
        not_server_names,
        hosts,
        not_hosts,
        methods,
        not_methods,
        paths,
        not_paths,
        request_principals,
        not_request_principals,
        headers,
        claims,
    } = request;
    let header = |it: &NamedPatterns| pb::NamedPatterns {
        name: it.name.to_string(),
        values: strings_message(&it.values),
        not_values: strings_message(&it.not_values),
    };
    let claim = |it: &ClaimPatterns| pb::ClaimPatterns {
        path: texts_message(&it.path),
        values: strings_message(&it.values),
        not_values: strings_message(&it.not_values),
    };
    pb::RequestMatch {
        trust_domains: strings_message(trust_domains),
        not_trust_domains: strings_message(not_trust_domains),
        remote_ips: ranges_message(remote_ips),
        not_remote_ips: ranges_message(not_remote_ips),
        server_names: strings_message(server_names),
        not_server_names: strings_message(not_server_names),
        hosts: strings_message(hosts),
        not_hosts: strings_message(not_hosts),
        methods: strings_message(methods),
        not_methods: strings_message(not_methods),
        paths: paths.iter().map(path_message).collect(),
        not_paths: not_paths.iter().map(path_message).collect(),
        request_principals: strings_message(request_principals),
        not_request_principals: strings_message(not_request_principals),
        headers: headers.iter().map(header).collect(),
        claims: claims.iter().map(claim).collect(),
    }
}

fn path(
    subject: Subject<'_>,
    field: &'static str,
    message: pb::PathPattern,
) -> Result<PathPattern, Error> {
    use pb::path_pattern::Kind;
    Ok(match subject.required(field, message.kind)? {
        Kind::Text(text) => PathPattern::Text(string(subject, field, text)?),
        Kind::Template(text) => PathPattern::Template(text.into()),
    })
}

fn path_message(pattern: &PathPattern) -> pb::PathPattern {
    use pb::path_pattern::Kind;
    let text = |it: &StringMatch| Kind::Text(string_message(it));
    let kind = match pattern {
        PathPattern::Text(pattern) => text(pattern),
        PathPattern::Template(template) => Kind::Template(template.to_string()),
    };
    pb::PathPattern { kind: Some(kind) }
}
