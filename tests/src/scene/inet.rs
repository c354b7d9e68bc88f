//! Sockets of the internet protocols, and those of families that few programs have a use for.

use std::{
    io::{Error, ErrorKind, IoSlice, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, sendmsg, sendto, socket,
};

use super::{Table, Words, raw};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("tcp", tcp),
    ("tcp-refused", tcp_refused),
    ("tcp-waiting-refused", tcp_waiting_refused),
    ("tcp-unreachable", tcp_unreachable),
    ("udp-unreachable", udp_unreachable),
    ("tcp-mapped", tcp_mapped),
    ("tcp-fast-open", tcp_fast_open),
    ("tcp-serve", tcp_serve),
    ("udp-connected", udp_connected),
    ("sendto", send_to),
    ("sendmsg", send_msg),
    ("sendmmsg", send_mmsg),
    ("send-zero-copy", send_zero_copy),
    ("packet-sendto", packet_send_to),
    ("packet-write", packet_write),
    ("packet-by-child", packet_by_child),
    ("packet-with-header", packet_with_header),
    ("socket", make),
];

fn address(words: &mut Words<'_>) -> Result<SocketAddr, Failure> {
    Ok(SocketAddr::new(words.number()?, words.number()?))
}

/// `IP PORT`.
fn tcp(words: &mut Words<'_>) -> Result<(), Failure> {
    drop(TcpStream::connect(address(words)?)?);
    Ok(())
}

/// `IP PORT`.
fn tcp_refused(words: &mut Words<'_>) -> Result<(), Failure> {
    match TcpStream::connect(address(words)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn is_unreachable<T: std::fmt::Debug>(result: std::io::Result<T>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == ErrorKind::NetworkUnreachable => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// `IP PORT`: where no way leads.
fn tcp_unreachable(words: &mut Words<'_>) -> Result<(), Failure> {
    is_unreachable(TcpStream::connect(address(words)?))
}

/// `IP PORT`: where no way leads.
fn udp_unreachable(words: &mut Words<'_>) -> Result<(), Failure> {
    is_unreachable(UdpSocket::bind("0.0.0.0:0")?.send_to(b"datagram", address(words)?))
}

fn new(family: AddressFamily, kind: SockType, flags: SockFlag) -> Result<OwnedFd, Failure> {
    Ok(socket(family, kind, flags, None)?)
}

/// `IP PORT`: a socket that does not wait; the refusal comes later.
fn tcp_waiting_refused(words: &mut Words<'_>) -> Result<(), Failure> {
    let to = SockaddrStorage::from(address(words)?);
    let socket = new(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_NONBLOCK)?;
    match connect(socket.as_raw_fd(), &to) {
        Err(nix::Error::EINPROGRESS) => {}
        Err(nix::Error::ECONNREFUSED) => return Ok(()),
        other => return Err(format!("{other:?}").into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    let mut poll = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one descriptor, whose structure lives until the call is over.
    unsafe { libc::poll(&raw mut poll, 1, 10_000) };
    match stream.take_error()? {
        Some(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// `IP PORT`: an IPv4 address through an IPv6 socket.
fn tcp_mapped(words: &mut Words<'_>) -> Result<(), Failure> {
    let (v4, port): (Ipv4Addr, u16) = (words.number()?, words.number()?);
    drop(TcpStream::connect((IpAddr::V6(v4.to_ipv6_mapped()), port))?);
    Ok(())
}

/// `IP PORT`: a connection by a call that sends, without connect(2).
fn tcp_fast_open(words: &mut Words<'_>) -> Result<(), Failure> {
    let to = SockaddrStorage::from(address(words)?);
    let socket = new(AddressFamily::Inet, SockType::Stream, SockFlag::empty())?;
    sendto(socket.as_raw_fd(), b"early", &to, MsgFlags::from_bits_retain(libc::MSG_FASTOPEN))?;
    Ok(())
}

/// `IP`: listens, and takes a connection from itself.
fn tcp_serve(words: &mut Words<'_>) -> Result<(), Failure> {
    let ip: IpAddr = words.number()?;
    let listener = TcpListener::bind((ip, 0))?;
    let port = listener.local_addr()?.port();
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"hello")?;
    Ok(server.read_exact(&mut [0; 5])?)
}

/// `IP PORT`.
fn udp_connected(words: &mut Words<'_>) -> Result<(), Failure> {
    let to = address(words)?;
    let own: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0))?;
    socket.connect(to)?;
    socket.send(b"connected")?;
    Ok(())
}

/// Pairs of `IP PORT`, as many as there are.
fn all(words: &mut Words<'_>) -> Result<Vec<SocketAddr>, Failure> {
    let mut found = Vec::new();
    while words.has_more() {
        found.push(address(words)?);
    }
    Ok(found)
}

/// `[IP PORT]…`.
fn send_to(words: &mut Words<'_>) -> Result<(), Failure> {
    let hosts = all(words)?;
    let own = if hosts.iter().any(SocketAddr::is_ipv6) { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(own)?;
    for to in hosts {
        socket.send_to(b"sendto", to)?;
    }
    Ok(())
}

/// `[IP PORT]…`.
fn send_msg(words: &mut Words<'_>) -> Result<(), Failure> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    for to in all(words)? {
        let to = SockaddrStorage::from(to);
        sendmsg(socket.as_raw_fd(), &[IoSlice::new(b"sendmsg")], &[], MsgFlags::empty(), Some(&to))?;
    }
    Ok(())
}

/// `[IP PORT]…`: in one call, IPv4 only.
fn send_mmsg(words: &mut Words<'_>) -> Result<(), Failure> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut hosts = Vec::new();
    for to in all(words)? {
        let SocketAddr::V4(to) = to else { return Err("IPv4 only".into()) };
        let address = libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) };
        let family = libc::sa_family_t::try_from(libc::AF_INET)?;
        hosts.push(libc::sockaddr_in {
            sin_family: family,
            sin_port: to.port().to_be(),
            sin_addr: address,
            sin_zero: [0; 8],
        });
    }
    let mut bytes = *b"sendmmsg";
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut messages = Vec::new();
    for host in &mut hosts {
        // SAFETY: zeroes are a message without parts.
        let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        message.msg_hdr.msg_name = (&raw mut *host).cast();
        message.msg_hdr.msg_namelen = u32::try_from(size_of::<libc::sockaddr_in>())?;
        message.msg_hdr.msg_iov = &raw mut part;
        message.msg_hdr.msg_iovlen = 1;
        messages.push(message);
    }
    let args = [raw::number(socket.as_raw_fd()), messages.as_mut_ptr() as usize, messages.len(), 0];
    // SAFETY: messages, addresses and bytes live until the call is over.
    let sent = unsafe { raw::call(libc::SYS_sendmmsg, &args) }?;
    if sent == messages.len() { Ok(()) } else { Err(Error::other(format!("{sent} were sent")).into()) }
}

/// `IP PORT`: from memory that the kernel does not copy (`MSG_ZEROCOPY`).
fn send_zero_copy(words: &mut Words<'_>) -> Result<(), Failure> {
    let to = SockaddrStorage::from(address(words)?);
    let socket = new(AddressFamily::Inet, SockType::Datagram, SockFlag::empty())?;
    let on = 1_i32;
    let args = [
        raw::number(socket.as_raw_fd()),
        libc::SOL_SOCKET as usize,
        libc::SO_ZEROCOPY as usize,
        (&raw const on) as usize,
        size_of_val(&on),
    ];
    // SAFETY: the number lives until the call is over.
    unsafe { raw::call(libc::SYS_setsockopt, &args) }?;
    sendto(socket.as_raw_fd(), &[7; 1024], &to, MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY))?;
    Ok(())
}

/// `FAMILY TYPE PROTOCOL`, as numbers.
fn make(words: &mut Words<'_>) -> Result<(), Failure> {
    let args: [usize; 3] = [words.number()?, words.number()?, words.number()?];
    // SAFETY: no memory is passed.
    drop(raw::owned(unsafe { raw::call(libc::SYS_socket, &args) }?)?);
    Ok(())
}

/// A socket for packets of ICMP, or a raw one: `IP TYPE PROTOCOL`, the last two as numbers. With it
/// the address, and an echo request.
fn packet_socket(words: &mut Words<'_>) -> Result<(OwnedFd, SockaddrStorage, [u8; 8]), Failure> {
    let ip: IpAddr = words.number()?;
    let (family, echo) = match ip {
        IpAddr::V4(_) => (libc::AF_INET, [8, 0, 0xf7, 0xf7, 0, 7, 0, 1]),
        IpAddr::V6(_) => (libc::AF_INET6, [128, 0, 0, 0, 0, 7, 0, 1]),
    };
    let args = [usize::try_from(family)?, words.number()?, words.number()?];
    // SAFETY: no memory is passed.
    let socket = raw::owned(unsafe { raw::call(libc::SYS_socket, &args) }?)?;
    Ok((socket, SockaddrStorage::from(SocketAddr::new(ip, 0)), echo))
}

/// `IP TYPE PROTOCOL`.
fn packet_send_to(words: &mut Words<'_>) -> Result<(), Failure> {
    let (socket, to, echo) = packet_socket(words)?;
    sendto(socket.as_raw_fd(), &echo, &to, MsgFlags::empty())?;
    Ok(())
}

/// `IP TYPE PROTOCOL`: connected, so that a call without an address sends it.
fn packet_write(words: &mut Words<'_>) -> Result<(), Failure> {
    let (socket, to, echo) = packet_socket(words)?;
    connect(socket.as_raw_fd(), &to)?;
    nix::unistd::write(&socket, &echo)?;
    Ok(())
}

/// `IP TYPE PROTOCOL`: a child sends by the socket that its parent made.
fn packet_by_child(words: &mut Words<'_>) -> Result<(), Failure> {
    let (socket, to, echo) = packet_socket(words)?;
    raw::in_child(|| {
        sendto(socket.as_raw_fd(), &echo, &to, MsgFlags::empty())?;
        Ok(())
    })
}

/// `IP PORT`: a UDP datagram whose headers the program writes itself, IPv4 only.
fn packet_with_header(words: &mut Words<'_>) -> Result<(), Failure> {
    let (ip, port): (Ipv4Addr, u16) = (words.number()?, words.number()?);
    let args = [libc::AF_INET as usize, libc::SOCK_RAW as usize, libc::IPPROTO_RAW as usize];
    // SAFETY: no memory is passed.
    let socket = raw::owned(unsafe { raw::call(libc::SYS_socket, &args) }?)?;
    // The kernel fills in length and checksum.
    let mut packet = vec![0x45, 0, 0, 0, 0, 7, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1];
    packet.extend(ip.octets());
    packet.extend([9_u16, port, 8, 0].iter().flat_map(|word| word.to_be_bytes()));
    let to = SockaddrStorage::from(SocketAddr::new(ip.into(), 0));
    sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty())?;
    Ok(())
}
