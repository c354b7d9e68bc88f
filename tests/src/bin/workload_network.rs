//! `workload_network DIR DNS-ADDRESS`: one of each act of sockets, all inside of this process: it
//! is both client and server. Unix sockets get names in DIR, and DNS is spoken at port 53 of a
//! loopback address. Prints `what port` for each port that the kernel chose.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener, UnixStream},
    },
    path::Path,
};

use sentry_tests::work::{Arguments, Deadline, Failure};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let dir = args.path("DIR")?;
    let server: IpAddr = args.text("DNS-ADDRESS")?.parse()?;
    tcp()?;
    udp()?;
    unix(&dir)?;
    dns_by_udp(SocketAddr::new(server, 53))?;
    dns_by_tcp(SocketAddr::new(server, 53))?;
    tls()?;
    Ok(())
}

fn tcp() -> Result<(), Failure> {
    let listener = TcpListener::bind((LOOPBACK, 0))?;
    let address = listener.local_addr()?;
    println!("tcp {}", address.port());
    let mut client = TcpStream::connect(address)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"some bytes")?;
    let mut bytes = [0; 10];
    server.read_exact(&mut bytes)?;
    drop(listener);
    if TcpStream::connect(address).is_ok() {
        return Err("a connect to a closed port was not refused".into());
    }
    Ok(())
}

fn udp() -> Result<(), Failure> {
    let receiver = UdpSocket::bind((LOOPBACK, 0))?;
    println!("udp {}", receiver.local_addr()?.port());
    let sender = UdpSocket::bind((LOOPBACK, 0))?;
    println!("sender {}", sender.local_addr()?.port());
    sender.send_to(b"to an address", receiver.local_addr()?)?;
    receiver.recv(&mut [0; 16])?;
    Ok(())
}

fn unix(dir: &Path) -> Result<(), Failure> {
    let stream = dir.join("stream");
    let listener = UnixListener::bind(&stream)?;
    drop(UnixStream::connect(&stream)?);
    drop(listener);
    let datagram = dir.join("datagram");
    let receiver = UnixDatagram::bind(&datagram)?;
    UnixDatagram::unbound()?.send_to(b"a datagram", &datagram)?;
    drop(receiver);
    let name = UnixAddress::from_abstract_name(format!("workload-network-{}", dir.display()))?;
    let listener = UnixListener::bind_addr(&name)?;
    drop(UnixStream::connect_addr(&name)?);
    drop(listener);
    Ok(())
}

/// A question for the address of `www.example.org`, or its answer 192.0.2.80.
fn message(answer: bool) -> Vec<u8> {
    let flags: [u8; 2] = if answer { [0x81, 0x80] } else { [0x01, 0x00] };
    let mut bytes = vec![0, 7, flags[0], flags[1], 0, 1, 0, u8::from(answer), 0, 0, 0, 0];
    for label in ["www", "example", "org"] {
        bytes.push(label.len().to_le_bytes()[0]);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    if answer {
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80]);
    }
    bytes
}

fn dns_by_udp(address: SocketAddr) -> Result<(), Failure> {
    let server = UdpSocket::bind(address)?;
    // Connected: each datagram goes without an address of its own.
    let client = UdpSocket::bind((LOOPBACK, 0))?;
    println!("resolver {}", client.local_addr()?.port());
    client.connect(address)?;
    client.send(&message(false))?;
    let mut bytes = [0; 512];
    let (_, from) = server.recv_from(&mut bytes)?;
    server.send_to(&message(true), from)?;
    client.recv(&mut bytes)?;
    println!("from {}", from.port());
    Ok(())
}

fn dns_by_tcp(address: SocketAddr) -> Result<(), Failure> {
    let listener = TcpListener::bind(address)?;
    let mut client = TcpStream::connect(address)?;
    let (mut server, _) = listener.accept()?;
    exchange(&mut client, &mut server, &message(false))?;
    exchange(&mut server, &mut client, &message(true))?;
    Ok(())
}

fn exchange(from: &mut TcpStream, to: &mut TcpStream, message: &[u8]) -> Result<(), Failure> {
    let mut bytes = u16::try_from(message.len())?.to_be_bytes().to_vec();
    bytes.extend(message);
    from.write_all(&bytes)?;
    to.read_exact(&mut bytes)?;
    Ok(())
}

/// A TLS 1.2 hello with nothing in it but the server's name.
fn hello(name: &str) -> Result<Vec<u8>, Failure> {
    let long = |bytes: &[u8]| -> Result<Vec<u8>, Failure> {
        Ok([&u16::try_from(bytes.len())?.to_be_bytes(), bytes].concat())
    };
    let entry = [&[0][..], &long(name.as_bytes())?].concat();
    let extension = [&[0, 0][..], &long(&long(&entry)?)?].concat();
    let body = [&[3, 3][..], &[9; 32], &[0], &[0, 2, 0x13, 0x01], &[1, 0], &long(&extension)?].concat();
    let handshake = [&[1, 0][..], &long(&body)?].concat();
    Ok([&[0x16, 3, 1][..], &long(&handshake)?].concat())
}

fn tls() -> Result<(), Failure> {
    let listener = TcpListener::bind((LOOPBACK, 0))?;
    println!("tls {}", listener.local_addr()?.port());
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    let bytes = hello("secret.example.net")?;
    client.write_all(&bytes)?;
    server.read_exact(&mut vec![0; bytes.len()])?;
    Ok(())
}
