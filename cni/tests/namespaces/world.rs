//! Namespaces, links between them, and sockets inside them.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use futures_util::stream::TryStreamExt;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt,
};
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};

pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Must be called before any thread exists.
pub(crate) fn enter_user_namespace() {
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    let flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET;
    unshare(flags).expect(
        "an unprivileged user namespace is needed (kernel.unprivileged_userns_clone, \
         user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)",
    );
    std::fs::write("/proc/self/setgroups", "deny").unwrap();
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).unwrap();
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).unwrap();
}

/// A network namespace that lives as long as this value.
pub(crate) struct Namespace(pub(crate) OwnedFd);

impl Namespace {
    pub(crate) fn new() -> Self {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            // Duplicate address detection would keep link-local addresses unusable for a second or two.
            std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
            netlink(async |handle| {
                let up = LinkUnspec::new_with_name("lo").up().build();
                handle.link().set(up).execute().await.unwrap();
            });
            OwnedFd::from(std::fs::File::open("/proc/thread-self/ns/net").unwrap())
        });
        Namespace(made.join().unwrap())
    }

    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        cni::netns::inside(self.0.as_fd(), work).unwrap()
    }

    pub(crate) fn listen(&self, address: &str) -> TcpListener {
        let listener = self.run(|| TcpListener::bind(address)).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    }

    /// A connection from inside, from the given address and with the given mark where there are any.
    pub(crate) fn dial(
        &self,
        from: Option<IpAddr>,
        to: SocketAddr,
        mark: Option<u32>,
    ) -> TcpStream {
        self.try_dial(from, to, mark)
            .unwrap_or_else(|error| panic!("dial {to}: {error}"))
    }

    pub(crate) fn try_dial(
        &self,
        from: Option<IpAddr>,
        to: SocketAddr,
        mark: Option<u32>,
    ) -> Result<TcpStream, Errno> {
        self.run(|| {
            let family = if to.is_ipv4() {
                AddressFamily::Inet
            } else {
                AddressFamily::Inet6
            };
            let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
            let seconds = nix::sys::time::TimeVal::new(10, 0);
            setsockopt(&socket, sockopt::SendTimeout, &seconds)?;
            if let Some(mark) = mark {
                setsockopt(&socket, sockopt::Mark, &mark)?;
            }
            if let Some(from) = from {
                // One flag serves both IP versions.
                setsockopt(&socket, sockopt::IpTransparent, &true)?;
                bind(socket.as_raw_fd(), &storage(SocketAddr::new(from, 0)))?;
            }
            connect(socket.as_raw_fd(), &storage(to))?;
            Ok(TcpStream::from(socket))
        })
    }
}

/// A pod and what is outside of it: 10.1.0.2 and fd00::2 inside, 10.1.0.1 and fd00::1 outside, default routes out.
pub(crate) struct Pod {
    pub(crate) inside: Namespace,
    pub(crate) outside: Namespace,
}

impl Pod {
    pub(crate) fn new() -> Self {
        let (inside, outside) = (Namespace::new(), Namespace::new());
        let target = inside.0.as_fd();
        outside.run(|| {
            netlink(async |handle| {
                let pair = LinkVeth::new("veth", "eth0").build();
                handle.link().add(pair).execute().await.unwrap();
                let raw = target.as_raw_fd();
                let over = LinkUnspec::new_with_name("eth0").setns_by_fd(raw).build();
                handle.link().set(over).execute().await.unwrap();
                let addresses = ["10.1.0.1/24", "fd00::1/64", "169.254.7.127/32"];
                configure(&handle, "veth", &addresses).await;
            });
        });
        inside.run(|| {
            netlink(async |handle| {
                configure(&handle, "eth0", &["10.1.0.2/24", "fd00::2/64"]).await;
                let v4 = RouteMessageBuilder::<std::net::Ipv4Addr>::new()
                    .gateway("10.1.0.1".parse().unwrap())
                    .build();
                handle.route().add(v4).execute().await.unwrap();
                let v6 = RouteMessageBuilder::<std::net::Ipv6Addr>::new()
                    .gateway("fd00::1".parse().unwrap())
                    .build();
                handle.route().add(v6).execute().await.unwrap();
            });
        });
        Pod { inside, outside }
    }

    /// Adds an address outside, on the link to the pod.
    pub(crate) fn add_outside(&self, address: &str) {
        self.outside
            .run(|| netlink(async |handle| configure(&handle, "veth", &[address]).await));
    }
}

async fn configure(handle: &Handle, name: &'static str, addresses: &[&str]) {
    let found = handle
        .link()
        .get()
        .match_name(name)
        .execute()
        .try_next()
        .await;
    let index = found.unwrap().unwrap().header.index;
    for address in addresses {
        let network: ipnet::IpNet = address.parse().unwrap();
        let mut add = handle
            .address()
            .add(index, network.addr(), network.prefix_len());
        // Duplicate address detection would keep the address unusable for a second.
        let flags = rtnetlink::packet_route::address::AddressHeaderFlags::Nodad;
        add.message_mut().header.flags |= flags;
        add.execute().await.unwrap();
    }
    let up = LinkUnspec::new_with_index(index).up().build();
    handle.link().set(up).execute().await.unwrap();
}

pub(crate) fn netlink(work: impl AsyncFnOnce(Handle)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (connection, handle, _messages) = rtnetlink::new_connection().unwrap();
        match select(pin!(work(handle)), pin!(connection)).await {
            Either::Left(((), _)) => {}
            Either::Right(_) => panic!("netlink connection ended"),
        }
    });
}

/// Waits for the next connection to a non-blocking listener.
pub(crate) fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(false).unwrap();
                return (
                    stream,
                    SocketAddr::new(peer.ip().to_canonical(), peer.port()),
                );
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(
                    Instant::now() < deadline,
                    "nobody connected to {listener:?}"
                );
                std::thread::yield_now();
            }
            Err(error) => panic!("accept: {error}"),
        }
    }
}

/// Where the connection was going before it was redirected.
pub(crate) fn original_destination(stream: &TcpStream) -> SocketAddr {
    if stream.peer_addr().unwrap().ip().to_canonical().is_ipv4() {
        let address = nix::sys::socket::getsockopt(stream, sockopt::OriginalDst).unwrap();
        nix::sys::socket::SockaddrIn::from(address)
            .into_std()
            .into()
    } else {
        let address = nix::sys::socket::getsockopt(stream, sockopt::Ip6tOriginalDst).unwrap();
        nix::sys::socket::SockaddrIn6::from(address)
            .into_std()
            .into()
    }
}

/// Bytes go both ways between the two ends.
pub(crate) fn talk(mut one: &TcpStream, mut other: &TcpStream) {
    for stream in [one, other] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let mut word = [0; 5];
    one.write_all(b"hello").unwrap();
    other.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"hello");
    other.write_all(b"there").unwrap();
    one.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"there");
}

trait IntoStd<T> {
    fn into_std(self) -> T;
}

impl IntoStd<std::net::SocketAddrV4> for nix::sys::socket::SockaddrIn {
    fn into_std(self) -> std::net::SocketAddrV4 {
        self.into()
    }
}

impl IntoStd<std::net::SocketAddrV6> for nix::sys::socket::SockaddrIn6 {
    fn into_std(self) -> std::net::SocketAddrV6 {
        self.into()
    }
}

fn storage(address: SocketAddr) -> SockaddrStorage {
    SockaddrStorage::from(address)
}
