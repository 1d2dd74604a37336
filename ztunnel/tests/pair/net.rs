//! Two pods' network namespaces joined by a cable, with the few routes that stand in for the
//! firewall rules of the real thing (those are proved in the journeys across programs).
//!
//! - Pod one's virtual addresses are routed to its own loopback, so that a call to one arrives at
//!   the outbound door as if it had been redirected.
//! - Replies of pod two's application are routed to loopback whatever their destination, as the
//!   connection mark does it.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};

use futures_util::TryStreamExt;
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RulePortRange};
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};
use socket2::{Domain, Protocol, Socket, Type};

/// Address of pod one.
pub(crate) const ONE: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
/// Address of pod two.
pub(crate) const TWO: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
/// IPv6 address of pod one.
pub(crate) const ONE6: Ipv6Addr = Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 1);
/// IPv6 address of pod two.
pub(crate) const TWO6: Ipv6Addr = Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 2);
/// Virtual address of the service.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Its IPv6 virtual address.
pub(crate) const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, 1);
/// An address next to pod two's at which nobody is: what is sent there gets no answer of any kind.
pub(crate) const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 77);
/// An address to which no route leads.
pub(crate) const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Port of the application in pod two.
pub(crate) const APP_PORT: u16 = 9090;
/// Port of the service in front of it.
pub(crate) const SERVICE_PORT: u16 = 8080;
/// Port in pod two whose replies take the ordinary way: for callers that no proxy stands in for.
pub(crate) const PLAIN_PORT: u16 = 9191;

/// Table with one route: everything is local.
const LOOPBACK_TABLE: u32 = 100;

/// The two namespaces.
pub(crate) struct Cable {
    /// Pod one's.
    pub(crate) one: OwnedFd,
    /// Pod two's.
    pub(crate) two: OwnedFd,
}

/// Enters a fresh user and network namespace, as uid 0 of it. To be called before any thread is
/// started.
pub(crate) fn enter_own_world() -> io::Result<()> {
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    // The name server of the tests is there.
    run(async |handle| {
        let lo = index(&handle, "lo").await;
        let up = LinkUnspec::new_with_index(lo).up().build();
        handle.link().set(up).execute().await.unwrap();
    });
    Ok(())
}

/// Runs `work` on a thread inside the namespace.
pub(crate) fn inside<R: Send + 'static>(
    netns: &OwnedFd,
    work: impl FnOnce() -> R + Send + 'static,
) -> std::thread::JoinHandle<R> {
    let netns = netns.try_clone().unwrap();
    std::thread::spawn(move || {
        setns(netns, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    })
}

/// Makes both namespaces and everything in them.
pub(crate) fn build() -> Cable {
    let (one, two) = (new_namespace(), new_namespace());
    let other = two.try_clone().unwrap();
    inside(&one, move || {
        run(async move |handle| {
            handle
                .link()
                .add(LinkVeth::new("eth0", "peer0").build())
                .execute()
                .await
                .unwrap();
            let peer = index(&handle, "peer0").await;
            let message = LinkUnspec::new_with_index(peer)
                .setns_by_fd(other.as_raw_fd())
                .name("eth0");
            handle.link().set(message.build()).execute().await.unwrap();
            furnish(&handle, ONE, ONE6).await;
            let eth0 = index(&handle, "eth0").await;
            // Known to be there, so that the kernel does not find out that it is not.
            let nobody = handle.neighbours().add(eth0, IpAddr::V4(NOBODY));
            let nobody = nobody.link_layer_address(&[2, 0, 0, 0, 0, 77]);
            nobody
                .state(NeighbourState::Permanent)
                .execute()
                .await
                .unwrap();
            let lo = index(&handle, "lo").await;
            let v4 = RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(VIP, 32)
                .pref_source(ONE)
                .kind(RouteType::Local)
                .scope(RouteScope::Host)
                .table_id(255)
                .output_interface(lo);
            handle.route().add(v4.build()).execute().await.unwrap();
            let v6 = RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(VIP6, 128)
                .pref_source(ONE6)
                .kind(RouteType::Local)
                .table_id(255)
                .output_interface(lo);
            handle.route().add(v6.build()).execute().await.unwrap();
        });
    })
    .join()
    .unwrap();
    inside(&two, || {
        run(async |handle| {
            furnish(&handle, TWO, TWO6).await;
            replies_stay_here(&handle).await;
        });
    })
    .join()
    .unwrap();
    Cable { one, two }
}

/// Takes pod two's end of the cable down: what is sent there is lost.
pub(crate) fn unplug(cable: &Cable) {
    inside(&cable.two, || {
        run(async |handle| {
            let eth0 = index(&handle, "eth0").await;
            let down = LinkUnspec::new_with_index(eth0).down().build();
            handle.link().set(down).execute().await.unwrap();
        });
    })
    .join()
    .unwrap();
}

/// A port that no other call of this process uses, below those that the kernel gives: by it, lines of
/// the log are told apart, for all pods here have the same addresses.
pub(crate) fn port_of_its_own() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Connects from inside a namespace, from an address and a port of its own.
pub(crate) fn connect(netns: &OwnedFd, from: IpAddr, to: SocketAddr) -> TcpStream {
    let from = SocketAddr::new(from, port_of_its_own());
    let connecting = inside(netns, move || {
        let domain = Domain::for_address(to);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        TcpStream::from(socket)
    });
    connecting.join().unwrap()
}

async fn furnish(handle: &Handle, v4: Ipv4Addr, v6: Ipv6Addr) {
    // No duplicate address detection: the address would be unusable for its first second.
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/eth0/accept_dad", "0");
    let eth0 = index(handle, "eth0").await;
    handle
        .address()
        .add(eth0, IpAddr::V4(v4), 24)
        .execute()
        .await
        .unwrap();
    let mut v6 = handle.address().add(eth0, IpAddr::V6(v6), 64);
    v6.message_mut().header.flags |= rtnetlink::packet_route::address::AddressHeaderFlags::Nodad;
    v6.execute().await.unwrap();
    for name in ["lo", "eth0"] {
        let up = LinkUnspec::new_with_index(index(handle, name).await)
            .up()
            .build();
        handle.link().set(up).execute().await.unwrap();
    }
}

async fn replies_stay_here(handle: &Handle) {
    let lo = index(handle, "lo").await;
    let v4 = RouteMessageBuilder::<Ipv4Addr>::new()
        .kind(RouteType::Local)
        .scope(RouteScope::Host)
        .table_id(LOOPBACK_TABLE)
        .output_interface(lo);
    handle.route().add(v4.build()).execute().await.unwrap();
    let v6 = RouteMessageBuilder::<Ipv6Addr>::new()
        .kind(RouteType::Local)
        .table_id(LOOPBACK_TABLE)
        .output_interface(lo);
    handle.route().add(v6.build()).execute().await.unwrap();
    let families = [AddressFamily::Inet, AddressFamily::Inet6];
    let ports = [APP_PORT, SERVICE_PORT];
    for (family, port) in families
        .into_iter()
        .flat_map(|it| ports.map(|port| (it, port)))
    {
        let mut rule = handle
            .rule()
            .add()
            .table_id(LOOPBACK_TABLE)
            .priority(50)
            .action(RuleAction::ToTable);
        let message = rule.message_mut();
        message.header.family = family;
        message.attributes.push(RuleAttribute::IpProtocol(
            rtnetlink::packet_route::IpProtocol::Tcp,
        ));
        message
            .attributes
            .push(RuleAttribute::SourcePortRange(RulePortRange {
                start: port,
                end: port,
            }));
        rule.execute().await.unwrap();
    }
}

async fn index(handle: &Handle, name: &str) -> u32 {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    links
        .try_next()
        .await
        .unwrap()
        .expect("the link exists")
        .header
        .index
}

fn new_namespace() -> OwnedFd {
    std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        File::open("/proc/thread-self/ns/net").unwrap().into()
    })
    .join()
    .unwrap()
}

/// Runs `work` with a netlink connection of the calling thread's namespace.
fn run(work: impl AsyncFnOnce(Handle)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let pump = async {
            connection.await;
            unreachable!("the connection lives as long as its handle");
        };
        tokio::select! {
            () = work(handle) => {}
            () = pump => {}
        }
    });
}
