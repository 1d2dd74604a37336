//! Policies.

use mesh::model::attached::{
    AttachedPolicy, JwtKeys, JwtRule, LimitBy, PolicyBody, RateLimit, RequestAction,
    RequestAuthorization, Target,
};
use mesh::model::{
    ClaimPatterns, Clause, IpRange, Match, NamedPatterns, PathPattern, RequestMatch, Rule,
    ServiceAccountMatch, StringMatch,
};

use super::Draw;

impl Draw {
    pub(super) fn attached_policy(&mut self) -> AttachedPolicy {
        AttachedPolicy {
            origin: self.origin(),
            targets: self.list(|it| match it.below(3) {
                0 => Target::Gateway(it.object()),
                1 => Target::Service(it.service()),
                _ => Target::Route(it.origin()),
            }),
            body: match self.below(3) {
                0 => PolicyBody::Authorization(self.authorization()),
                1 => PolicyBody::Authentication(self.list(Self::token_rule)),
                _ => PolicyBody::RateLimit(self.list(Self::rate_limit)),
            },
        }
    }

    fn authorization(&mut self) -> RequestAuthorization {
        RequestAuthorization {
            action: match self.below(4) {
                0 => RequestAction::Allow,
                1 => RequestAction::Deny,
                2 => RequestAction::Audit,
                _ => RequestAction::Custom(self.text()),
            },
            rules: self.list(|it| Rule {
                clauses: it.list(|it| Clause {
                    matches: it.list(Self::one_match),
                }),
            }),
            dry_run: self.flag(),
        }
    }

    fn one_match(&mut self) -> Match {
        Match {
            namespaces: self.strings(),
            not_namespaces: self.strings(),
            principals: self.strings(),
            not_principals: self.strings(),
            service_accounts: self.list(Self::account),
            not_service_accounts: self.list(Self::account),
            source_ips: self.ranges(),
            not_source_ips: self.ranges(),
            destination_ips: self.ranges(),
            not_destination_ips: self.ranges(),
            destination_ports: self.list(Self::port),
            not_destination_ports: self.list(Self::port),
            request: self.maybe(|it| Box::new(it.request_match())),
        }
    }

    fn request_match(&mut self) -> RequestMatch {
        let path = |it: &mut Self| match it.flag() {
            true => PathPattern::Text(it.string()),
            false => PathPattern::Template(it.text()),
        };
        RequestMatch {
            trust_domains: self.strings(),
            not_trust_domains: self.strings(),
            remote_ips: self.ranges(),
            not_remote_ips: self.ranges(),
            server_names: self.strings(),
            not_server_names: self.strings(),
            hosts: self.strings(),
            not_hosts: self.strings(),
            methods: self.strings(),
            not_methods: self.strings(),
            paths: self.list(path),
            not_paths: self.list(path),
            request_principals: self.strings(),
            not_request_principals: self.strings(),
            headers: self.list(|it| NamedPatterns {
                name: it.text(),
                values: it.strings(),
                not_values: it.strings(),
            }),
            claims: self.list(|it| ClaimPatterns {
                path: [vec![it.text()], it.texts()].concat(),
                values: it.strings(),
                not_values: it.strings(),
            }),
        }
    }

    fn string(&mut self) -> StringMatch {
        match self.below(4) {
            0 => StringMatch::Exact(self.text()),
            1 => StringMatch::Prefix(self.text()),
            2 => StringMatch::Suffix(self.text()),
            _ => StringMatch::Presence,
        }
    }

    fn strings(&mut self) -> Vec<StringMatch> {
        self.list(Self::string)
    }

    fn ranges(&mut self) -> Vec<IpRange> {
        self.list(|it| {
            let address = it.address();
            let prefix = it.below(if address.is_ipv4() { 33 } else { 129 });
            let prefix = u8::try_from(prefix).unwrap();
            IpRange { address, prefix }
        })
    }

    fn account(&mut self) -> ServiceAccountMatch {
        ServiceAccountMatch {
            namespace: self.text(),
            service_account: self.text(),
        }
    }

    fn token_rule(&mut self) -> JwtRule {
        JwtRule {
            issuer: self.text(),
            audiences: self.texts(),
            keys: match self.below(3) {
                0 => JwtKeys::Inline(self.text()),
                1 => JwtKeys::Url(self.text()),
                _ => JwtKeys::Discovery,
            },
            headers: self.list(Self::pair),
            params: self.texts(),
            cookies: self.texts(),
            payload_header: self.text(),
            claim_headers: self.list(Self::pair),
            forward: self.flag(),
            fetch_timeout: self.duration(),
            space_delimited: self.texts(),
        }
    }

    fn rate_limit(&mut self) -> RateLimit {
        RateLimit {
            name: self.text(),
            matches: self.list(Self::http_match),
            principals: self.list(Self::text_match),
            by: self.list(|it| match it.below(5) {
                0 => LimitBy::Header(it.text()),
                1 => LimitBy::Query(it.text()),
                2 => LimitBy::Principal,
                3 => LimitBy::SourceIp,
                _ => LimitBy::Claim(it.text()),
            }),
            requests: self.number(),
            per: self.duration().max(std::time::Duration::from_nanos(1)),
            burst: self.number(),
        }
    }
}
