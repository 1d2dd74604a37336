//! The files a pod sees as its own: names of machines, its volumes, its tokens.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use objects::kinds::{Key, Kind};

use super::wish::{PodWish, TokenSource, Volume, VolumeMount};
use crate::cluster::View;
use crate::exec::Mount;
use crate::network::addresses::DNS_V4;
use crate::roles::tokens::{self, Bearer, ISSUER, Issuer, LIFE, replace_file};

/// Longest life of a token that is given, seconds, as in Kubernetes.
const LONGEST_LIFE: u64 = 1 << 32;

/// Why a pod's files cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("volume {volume}: {kind} {name} does not exist")]
    Missing {
        volume: String,
        kind: Kind,
        name: String,
    },
    #[error("Secret {name}: data.{entry} is not base64")]
    NotBase64 { name: String, entry: String },
    #[error("volume {volume}: {path} would leave the volume")]
    Outside { volume: String, path: PathBuf },
    #[error(
        "volume {volume} has no source that a sandbox knows (emptyDir, hostPath, configMap, secret, projected)"
    )]
    UnknownSource { volume: String },
    #[error("volumeMount {volume}: there is no volume of this name")]
    NoSuchVolume { volume: String },
    #[error(transparent)]
    Token(#[from] tokens::Error),
}

fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// `resolv.conf` for programs of a namespace: cluster DNS, and Kubernetes' search order.
pub(crate) fn resolv_conf(namespace: &str) -> String {
    format!(
        "nameserver {DNS_V4}\nsearch {namespace}.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    )
}

/// Writes the name files into `folder` and says how they are mounted. They hide the machine's own.
pub(crate) fn name_files(
    folder: &Path,
    namespace: &str,
    hostname: &str,
    addresses: &[IpAddr],
) -> Result<Vec<Mount>, Error> {
    make_folder(folder)?;
    let mut hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
    for address in addresses {
        hosts.push_str(&format!("{address} {hostname}\n"));
    }
    let mut mounts = Vec::new();
    for (name, text) in [
        ("resolv.conf", resolv_conf(namespace)),
        ("hosts", hosts),
        ("hostname", format!("{hostname}\n")),
    ] {
        let source = folder.join(name);
        write(&source, text)?;
        // A machine without the file has nothing to hide, and nowhere to mount.
        mounts.push(Mount::Bind {
            source,
            target: Path::new("/etc").join(name),
            needed: false,
        });
    }
    Ok(mounts)
}

/// A token file that must be written anew from time to time.
#[derive(Debug, Clone)]
pub(crate) struct TokenFile {
    pub(crate) path: PathBuf,
    pub(crate) bearer: Bearer,
    pub(crate) audience: String,
    pub(crate) life: Duration,
}

impl TokenFile {
    /// Writes a fresh token.
    pub(crate) fn write(&self, issuer: &Issuer, view: &View) -> Result<(), Error> {
        let token = issuer.token(view, &self.bearer, &self.audience, self.life)?;
        replace_file(&self.path, &token).map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }
}

/// Makes all volumes below `folder`; answers with the tokens among them, already written.
pub(crate) fn make_volumes(
    folder: &Path,
    wish: &PodWish,
    bearer: &Bearer,
    issuer: &Issuer,
    view: &View,
) -> Result<Vec<TokenFile>, Error> {
    let mut tokens = Vec::new();
    for volume in &wish.volumes {
        if volume.host_path.is_some() {
            continue;
        }
        let home = folder.join(inside(volume, Path::new(&volume.name))?);
        make_folder(&home)?;
        let namespace = &bearer.namespace;
        if volume.empty_dir.is_some() {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).map_err(|source| {
                Error::Write {
                    path: home.clone(),
                    source,
                }
            })?;
        } else if let Some(source) = &volume.config_map {
            entries(
                volume,
                view,
                Kind::ConfigMap,
                (namespace, &source.name),
                source.optional,
                &home,
            )?;
        } else if let Some(source) = &volume.secret {
            let name = &source.secret_name;
            entries(
                volume,
                view,
                Kind::Secret,
                (namespace, name),
                source.optional,
                &home,
            )?;
        } else if let Some(projected) = &volume.projected {
            for projection in &projected.sources {
                if let Some(source) = &projection.config_map {
                    let name = (namespace.as_str(), source.name.as_str());
                    entries(volume, view, Kind::ConfigMap, name, source.optional, &home)?;
                }
                if let Some(source) = &projection.service_account_token {
                    let token = token(volume, source, bearer, &home)?;
                    token.write(issuer, view)?;
                    tokens.push(token);
                }
            }
        } else {
            return Err(Error::UnknownSource {
                volume: volume.name.clone(),
            });
        }
    }
    Ok(tokens)
}

fn token(
    volume: &Volume,
    source: &TokenSource,
    bearer: &Bearer,
    home: &Path,
) -> Result<TokenFile, Error> {
    let path = home.join(inside(volume, &source.path)?);
    make_folder(path.parent().unwrap_or(home))?;
    Ok(TokenFile {
        path,
        bearer: bearer.clone(),
        audience: source.audience.clone().unwrap_or_else(|| ISSUER.to_owned()),
        life: source.expiration_seconds.map_or(LIFE, |seconds| {
            Duration::from_secs(seconds.clamp(600, LONGEST_LIFE))
        }),
    })
}

/// Writes every entry of a ConfigMap or Secret as a file.
fn entries(
    volume: &Volume,
    view: &View,
    kind: Kind,
    (namespace, name): (&str, &str),
    optional: bool,
    home: &Path,
) -> Result<(), Error> {
    let Some(object) = view.get(&Key::new(kind, namespace, name)) else {
        let missing = || Error::Missing {
            volume: volume.name.clone(),
            kind,
            name: name.to_owned(),
        };
        return if optional { Ok(()) } else { Err(missing()) };
    };
    if let Some(map) = object.config_map() {
        for (key, text) in &map.data {
            write(&home.join(inside(volume, Path::new(key))?), text)?;
        }
    }
    if let Some(secret) = object.secret() {
        for (key, text) in &secret.data {
            let bytes = STANDARD
                .decode(text.reveal())
                .map_err(|_| Error::NotBase64 {
                    name: name.to_owned(),
                    entry: key.clone(),
                })?;
            write(&home.join(inside(volume, Path::new(key))?), bytes)?;
        }
        for (key, text) in &secret.string_data {
            write(&home.join(inside(volume, Path::new(key))?), text.reveal())?;
        }
    }
    Ok(())
}

/// The same path, when it stays below where it starts.
fn inside<'p>(volume: &Volume, path: &'p Path) -> Result<&'p Path, Error> {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if plain && path.components().next().is_some() {
        return Ok(path);
    }
    Err(Error::Outside {
        volume: volume.name.clone(),
        path: path.to_owned(),
    })
}

/// How a container's volumes are mounted.
pub(crate) fn volume_mounts(
    folder: &Path,
    wish: &PodWish,
    mounts: &[VolumeMount],
) -> Result<Vec<Mount>, Error> {
    let mount = |wanted: &VolumeMount| {
        let volume = wish.volumes.iter().find(|one| one.name == wanted.name);
        let volume = volume.ok_or_else(|| Error::NoSuchVolume {
            volume: wanted.name.clone(),
        })?;
        let mut source = match &volume.host_path {
            Some(host) => host.path.clone(),
            None => folder.join(inside(volume, Path::new(&volume.name))?),
        };
        if let Some(sub_path) = &wanted.sub_path {
            source = source.join(inside(volume, sub_path)?);
        }
        Ok(Mount::Bind {
            source,
            target: wanted.mount_path.clone(),
            needed: true,
        })
    };
    mounts.iter().map(mount).collect()
}
