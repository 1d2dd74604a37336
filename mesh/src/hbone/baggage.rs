//! Pure. The `baggage` header both ways: what a workload says about itself for telemetry.

use std::fmt::{self, Write};

use crate::model::WorkloadKind;

/// Longest header that is read or written.
pub const LIMIT: usize = 8 * 1024;

/// Facts about a workload, none of them proven (contract: docs/compat.md#hbone-connect).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    /// `k8s.cluster.name`.
    pub cluster: Option<Box<str>>,
    /// `k8s.namespace.name`.
    pub namespace: Option<Box<str>>,
    /// `k8s.<kind>.name`.
    pub workload: Option<(WorkloadKind, Box<str>)>,
    /// `service.name`.
    pub service_name: Option<Box<str>>,
    /// `service.version`.
    pub service_version: Option<Box<str>>,
    /// `cloud.region`.
    pub region: Option<Box<str>>,
    /// `cloud.availability_zone`.
    pub zone: Option<Box<str>>,
}

impl Baggage {
    /// Reads a header. Unknown keys, empty values and what cannot be read are passed over: the header
    /// is for telemetry only. Of a header beyond [`LIMIT`] nothing is read.
    pub fn parse(header: &[u8]) -> Self {
        let mut baggage = Self::default();
        let Some(text) = (header.len() <= LIMIT)
            .then(|| std::str::from_utf8(header).ok())
            .flatten()
        else {
            return baggage;
        };
        for member in text.split(',') {
            // properties after `;` belong to the member, not to its value
            let member = member.split(';').next().unwrap_or_default();
            let Some((key, value)) = member.split_once('=') else {
                continue;
            };
            let Some(value) = decode(value.trim()) else {
                continue;
            };
            baggage.set(key.trim(), value);
        }
        baggage
    }

    fn set(&mut self, key: &str, value: Box<str>) {
        let field = match key {
            "k8s.cluster.name" => &mut self.cluster,
            "k8s.namespace.name" => &mut self.namespace,
            "service.name" => &mut self.service_name,
            "service.version" => &mut self.service_version,
            "cloud.region" => &mut self.region,
            "cloud.availability_zone" => &mut self.zone,
            _ => {
                let kind = key
                    .strip_prefix("k8s.")
                    .and_then(|key| key.strip_suffix(".name"));
                if let Some(kind) = kind.and_then(kind_of) {
                    self.workload = Some((kind, value));
                }
                return;
            }
        };
        *field = Some(value);
    }
}

/// As the header is written, empty parts left out.
impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workload_key = self.workload.as_ref().map_or("", |(kind, _)| key_of(*kind));
        let members = [
            ("k8s.cluster.name", self.cluster.as_deref()),
            ("k8s.namespace.name", self.namespace.as_deref()),
            (
                workload_key,
                self.workload.as_ref().map(|(_, name)| &**name),
            ),
            ("service.name", self.service_name.as_deref()),
            ("service.version", self.service_version.as_deref()),
            ("cloud.region", self.region.as_deref()),
            ("cloud.availability_zone", self.zone.as_deref()),
        ];
        let mut first = true;
        for (key, value) in members {
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            if !first {
                f.write_char(',')?;
            }
            first = false;
            write!(f, "{key}=")?;
            encode(value, f)?;
        }
        Ok(())
    }
}

fn kind_of(word: &str) -> Option<WorkloadKind> {
    Some(match word {
        "deployment" => WorkloadKind::Deployment,
        "cronjob" => WorkloadKind::CronJob,
        "pod" => WorkloadKind::Pod,
        "job" => WorkloadKind::Job,
        _ => return None,
    })
}

fn key_of(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "k8s.deployment.name",
        WorkloadKind::CronJob => "k8s.cronjob.name",
        WorkloadKind::Pod => "k8s.pod.name",
        WorkloadKind::Job => "k8s.job.name",
    }
}

/// Writes a value with everything that a baggage value cannot hold as `%XX` (W3C Baggage, 3.3.1).
fn encode(value: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in value.bytes() {
        match byte {
            b'"' | b',' | b';' | b'\\' | b'%' | 0..=b' ' | 0x7f.. => write!(f, "%{byte:02X}")?,
            plain => f.write_char(char::from(plain))?,
        }
    }
    Ok(())
}

fn decode(value: &str) -> Option<Box<str>> {
    if value.is_empty() {
        return None;
    }
    if !value.contains('%') {
        return Some(value.into());
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Into::into)
}
