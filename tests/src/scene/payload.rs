//! Packets that name whom they are about.

use std::{
    io::Write as _,
    net::{IpAddr, TcpStream, UdpSocket},
};

use super::{Table, Words};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("dns", dns),
    ("dns-many", dns_many),
    ("dns-tcp", dns_tcp),
    ("dns-answered", dns_answered),
    ("tls-hello", tls_hello),
];

fn question(name: &str) -> Result<Vec<u8>, Failure> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len())?);
        message.extend(label.as_bytes());
    }
    // The root, type A, class IN.
    message.extend([0, 0, 1, 0, 1]);
    Ok(message)
}

/// `IP NAME`: asked at port 53, where nobody needs to answer.
fn dns(words: &mut Words<'_>) -> Result<(), Failure> {
    let server: IpAddr = words.number()?;
    UdpSocket::bind("0.0.0.0:0")?.send_to(&question(words.text()?)?, (server, 53))?;
    Ok(())
}

/// `IP COUNT DOMAIN`: so many names with 60 digits before the domain.
fn dns_many(words: &mut Words<'_>) -> Result<(), Failure> {
    let (server, count, domain): (IpAddr, u32, &str) = (words.number()?, words.number()?, words.text()?);
    let socket = UdpSocket::bind(if server.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" })?;
    for number in 0..count {
        socket.send_to(&question(&format!("{number:060}.{domain}"))?, (server, 53))?;
    }
    Ok(())
}

/// `IP NAME`: this process is the server too, which never answers.
fn dns_tcp(words: &mut Words<'_>) -> Result<(), Failure> {
    let server: IpAddr = words.number()?;
    let listener = std::net::TcpListener::bind((server, 53))?;
    let message = question(words.text()?)?;
    TcpStream::connect((server, 53))?.write_all(&counted(2, &message))?;
    drop(listener.accept()?);
    Ok(())
}

/// `IP NAME ADDRESS`: this process is the server too, and ADDRESS (IPv4) is its answer.
fn dns_answered(words: &mut Words<'_>) -> Result<(), Failure> {
    let server: IpAddr = words.number()?;
    let (name, answer): (&str, std::net::Ipv4Addr) = (words.text()?, words.number()?);
    let (listener, client) = (UdpSocket::bind((server, 53))?, UdpSocket::bind("0.0.0.0:0")?);
    client.send_to(&question(name)?, (server, 53))?;
    let mut bytes = [0; 512];
    let (length, from) = listener.recv_from(&mut bytes)?;
    let mut message = bytes[..length].to_vec();
    message[2] = 0x81;
    message[3] = 0x80;
    message[7] = 1;
    // The question's name, type A, class IN, a minute, four bytes.
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    message.extend(answer.octets());
    listener.send_to(&message, from)?;
    client.recv_from(&mut bytes)?;
    Ok(())
}

/// With its length before it, in so many bytes.
fn counted(size: usize, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_be_bytes();
    [&length[length.len() - size..], body].concat()
}

/// `IP PORT NAME`: the first message of a TLS connection, naming the server.
fn tls_hello(words: &mut Words<'_>) -> Result<(), Failure> {
    let address: (IpAddr, u16) = (words.number()?, words.number()?);
    let name = counted(2, words.text()?.as_bytes());
    let names = counted(2, &[&[0][..], &name].concat());
    let extensions = counted(2, &[&[0, 0][..], &counted(2, &names)].concat());
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    // No session, one cipher suite, no compression.
    hello.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    hello.extend(extensions);
    let handshake = [&[1][..], &counted(3, &hello)].concat();
    let record = [&[22, 3, 1][..], &counted(2, &handshake)].concat();
    Ok(TcpStream::connect(address)?.write_all(&record)?)
}
