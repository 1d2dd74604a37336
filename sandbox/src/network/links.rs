//! Links, addresses and routes over rtnetlink, in whichever namespace they are asked for.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;

use futures_util::TryStreamExt;
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth};
use rtnetlink::packet_route::route::{RouteMessage, RouteScope};
use rtnetlink::{
    Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};

use super::namespace::{self, Namespace};

/// Why a link, address or route could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace cannot be entered.
    #[error(transparent)]
    Namespace(#[from] namespace::Error),
    /// The kernel refused.
    #[error("cannot {operation} in {namespace}")]
    Refused {
        /// What was tried.
        operation: String,
        /// Where.
        namespace: PathBuf,
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
    /// No netlink socket, or a setting below `/proc/sys/net` cannot be written.
    #[error("cannot {operation} in {namespace}")]
    System {
        /// What was tried.
        operation: String,
        /// Where.
        namespace: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// An interface's wish: which addresses it has.
pub type Prefix = (IpAddr, u8);

/// One step of set-up, carried out in order by [`apply`].
#[derive(Debug, Clone)]
pub enum Step<'a> {
    /// A bridge, up.
    Bridge(&'a str),
    /// A pair of interfaces: this end's name, the other end's name and namespace.
    Pair(&'a str, &'a str, BorrowedFd<'a>),
    /// Puts an interface into a bridge.
    Join(&'a str, &'a str),
    /// Brings an interface up.
    Up(&'a str),
    /// Gives an interface an address, usable at once (no duplicate address detection).
    Address(&'a str, Prefix),
    /// A route by interface only.
    Direct(Prefix, &'a str),
    /// A route by a gateway that is reachable over the interface.
    Via(Prefix, IpAddr, &'a str),
    /// A setting below `/proc/sys/net/`.
    Setting(&'a str, &'a str),
}

/// Whether this machine's kernel speaks IPv6 at all.
pub fn has_ipv6() -> bool {
    std::path::Path::new("/proc/sys/net/ipv6").exists()
}

impl Step<'_> {
    fn is_about_ipv6(&self) -> bool {
        match self {
            Step::Address(_, (address, _)) | Step::Direct((address, _), _) => address.is_ipv6(),
            Step::Via((address, _), _, _) => address.is_ipv6(),
            Step::Setting(name, _) => name.starts_with("ipv6/"),
            Step::Bridge(_) | Step::Pair(..) | Step::Join(..) | Step::Up(_) => false,
        }
    }
}

/// Carries `steps` out inside `namespace`; those about IPv6 only where the kernel speaks it.
pub fn apply(namespace: &Namespace, steps: &[Step<'_>]) -> Result<(), Error> {
    let at = || namespace.path().to_owned();
    namespace.run(|| {
        let system = |operation: &str| {
            let operation = operation.to_owned();
            move |source| Error::System {
                operation,
                namespace: at(),
                source,
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(system("start a runtime"))?;
        runtime.block_on(async {
            let (connection, handle, _) =
                rtnetlink::new_connection().map_err(system("open a netlink socket"))?;
            let has_ipv6 = has_ipv6();
            let steps = async {
                for step in steps
                    .iter()
                    .filter(|step| has_ipv6 || !step.is_about_ipv6())
                {
                    if let Step::Setting(name, value) = step {
                        let path = format!("/proc/sys/net/{name}");
                        std::fs::write(&path, value).map_err(system(&format!("set {path}")))?;
                        continue;
                    }
                    carry_out(&handle, step)
                        .await
                        .map_err(|source| Error::Refused {
                            operation: format!("carry out {step:?}"),
                            namespace: at(),
                            source,
                        })?;
                }
                Ok(())
            };
            tokio::select! {
                done = steps => done,
                () = connection => Err(system("talk netlink")(io::ErrorKind::BrokenPipe.into())),
            }
        })
    })?
}

async fn carry_out(handle: &Handle, step: &Step<'_>) -> Result<(), rtnetlink::Error> {
    match step {
        Step::Bridge(name) => {
            handle
                .link()
                .add(LinkBridge::new(name).up().build())
                .execute()
                .await
        }
        Step::Pair(name, peer, peer_namespace) => {
            let peer = LinkMessageBuilder::<LinkUnspec>::new()
                .name((*peer).to_owned())
                .setns_by_fd(peer_namespace.as_raw_fd())
                .build();
            let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
                .name((*name).to_owned())
                .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
                .up()
                .build();
            handle.link().add(pair).execute().await
        }
        Step::Join(name, bridge) => {
            let bridge = index(handle, bridge).await?;
            let message = LinkUnspec::new_with_name(name).controller(bridge).build();
            handle.link().set(message).execute().await
        }
        Step::Up(name) => {
            handle
                .link()
                .set(LinkUnspec::new_with_name(name).up().build())
                .execute()
                .await
        }
        Step::Address(name, (address, length)) => {
            let index = index(handle, name).await?;
            let mut request = handle.address().add(index, *address, *length);
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
            request.execute().await
        }
        Step::Direct(prefix, name) => {
            let index = index(handle, name).await?;
            handle
                .route()
                .add(route(*prefix, None, index))
                .execute()
                .await
        }
        Step::Via(prefix, gateway, name) => {
            let index = index(handle, name).await?;
            handle
                .route()
                .add(route(*prefix, Some(*gateway), index))
                .execute()
                .await
        }
        Step::Setting(..) => Ok(()), // written by the caller
    }
}

async fn index(handle: &Handle, name: &str) -> Result<u32, rtnetlink::Error> {
    let mut links = handle.link().get().match_name(name).execute();
    match links.try_next().await? {
        Some(link) => Ok(link.header.index),
        None => Err(rtnetlink::Error::RequestFailed),
    }
}

fn route((address, length): Prefix, gateway: Option<IpAddr>, index: u32) -> RouteMessage {
    match address {
        IpAddr::V4(address) => {
            let builder = RouteMessageBuilder::<std::net::Ipv4Addr>::new()
                .destination_prefix(address, length)
                .output_interface(index);
            match gateway {
                Some(IpAddr::V4(gateway)) => builder.gateway(gateway).build(),
                _ => builder.scope(RouteScope::Link).build(),
            }
        }
        IpAddr::V6(address) => {
            let builder = RouteMessageBuilder::<std::net::Ipv6Addr>::new()
                .destination_prefix(address, length)
                .output_interface(index);
            match gateway {
                Some(IpAddr::V6(gateway)) => builder.gateway(gateway).build(),
                _ => builder.build(),
            }
        }
    }
}
