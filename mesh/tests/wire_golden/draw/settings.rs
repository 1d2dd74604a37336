//! A waypoint's own settings.

use mesh::identity::TrustDomain;
use mesh::model::observe::{AccessLog, MetricOverride, TagValue, Telemetry, Tracing};
use mesh::model::provider::{
    AuthorizerBody, AuthorizerProtocol, ExternalAuthorizer, ProviderAddress, ProviderHost,
};
use mesh::model::waypoint::{PathNormalization, Waypoint, WaypointFor};

use super::Draw;

impl Draw {
    pub(super) fn waypoint(&mut self) -> Waypoint {
        Waypoint {
            key: self.object(),
            serves: match self.below(4) {
                0 => WaypointFor::Service,
                1 => WaypointFor::Workload,
                2 => WaypointFor::All,
                _ => WaypointFor::None,
            },
            trust_domain: TrustDomain::parse(&self.word()).unwrap(),
            path_normalization: match self.below(4) {
                0 => PathNormalization::None,
                1 => PathNormalization::Base,
                2 => PathNormalization::MergeSlashes,
                _ => PathNormalization::DecodeAndMergeSlashes,
            },
            default_retry: self.retry(),
            connect_timeout: self.duration(),
            authorizers: self.list(Self::authorizer),
            telemetry: match self.flag() {
                true => self.telemetry(),
                false => Telemetry::default(),
            },
        }
    }

    fn authorizer(&mut self) -> ExternalAuthorizer {
        ExternalAuthorizer {
            name: self.text(),
            server: self.provider(),
            protocol: match self.flag() {
                true => AuthorizerProtocol::Grpc,
                false => AuthorizerProtocol::Http {
                    path_prefix: self.text(),
                    forwarded: self.texts(),
                    added: self.list(Self::pair),
                    to_upstream: self.texts(),
                    to_client_on_deny: self.texts(),
                    to_client_on_allow: self.texts(),
                },
            },
            timeout: self.duration(),
            fail_open: self.flag(),
            status_on_error: self.status(),
            body: self.maybe(|it| AuthorizerBody {
                max_bytes: it.number(),
                allow_partial: it.flag(),
                pack_as_bytes: it.flag(),
            }),
        }
    }

    fn provider(&mut self) -> ProviderAddress {
        ProviderAddress {
            host: match self.below(3) {
                0 => ProviderHost::Service(self.service()),
                1 => ProviderHost::Name(self.text()),
                _ => ProviderHost::Address(self.address()),
            },
            port: self.port(),
        }
    }

    pub(super) fn telemetry(&mut self) -> Telemetry {
        Telemetry {
            access_log: self.maybe(|it| AccessLog {
                json: it.flag(),
                format: it.text(),
                filter: it.text(),
            }),
            tracing: self.maybe(Self::tracing),
            metrics: self.list(|it| MetricOverride {
                metric: it.text(),
                disabled: it.flag(),
                labels: it.list(|it| (it.text(), it.maybe(Self::text))),
            }),
            origins: self.list(Self::origin),
        }
    }

    fn tracing(&mut self) -> Tracing {
        Tracing {
            provider: self.text(),
            collector: self.provider(),
            b3: self.flag(),
            sampling: self.number(),
            reports: self.flag(),
            propagates: self.flag(),
            istio_tags: self.flag(),
            tags: self.list(|it| {
                let value = match it.below(3) {
                    0 => TagValue::Literal(it.text()),
                    1 => TagValue::Header(it.text(), it.text()),
                    _ => TagValue::Environment(it.text(), it.text()),
                };
                (it.text(), value)
            }),
        }
    }
}
