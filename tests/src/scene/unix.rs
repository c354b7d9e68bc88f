//! Unix sockets, and descriptors that come over them.

use std::{
    fs::File,
    io::{IoSlice, IoSliceMut},
    net::TcpStream,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram, UnixStream},
    },
};

use nix::{
    cmsg_space,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg},
};

use super::{Table, Words, raw::in_child};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("unix-stream", stream),
    ("unix-abstract", unnamed),
    ("unix-datagram", datagram),
    ("receive-file", receive_file),
    ("receive-socket", receive_socket),
];

fn stream(words: &mut Words<'_>) -> Result<(), Failure> {
    drop(UnixStream::connect(words.path()?)?);
    Ok(())
}

fn unnamed(words: &mut Words<'_>) -> Result<(), Failure> {
    drop(UnixStream::connect_addr(&SocketAddr::from_abstract_name(words.text()?)?)?);
    Ok(())
}

fn datagram(words: &mut Words<'_>) -> Result<(), Failure> {
    UnixDatagram::unbound()?.send_to(b"datagram", words.path()?)?;
    Ok(())
}

/// A child opens something and sends it; what comes in is closed again.
fn receive(open: impl FnOnce() -> Result<OwnedFd, Failure>) -> Result<(), Failure> {
    let (ours, theirs) = UnixStream::pair()?;
    in_child(|| {
        let file = open()?;
        let rights = [file.as_raw_fd()];
        let message = [ControlMessage::ScmRights(&rights)];
        sendmsg::<()>(theirs.as_raw_fd(), &[IoSlice::new(b"x")], &message, MsgFlags::empty(), None)?;
        Ok(())
    })?;
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!(RawFd);
    let message = recvmsg::<()>(ours.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let mut count = 0;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = part {
            for descriptor in descriptors {
                // SAFETY: it has just come in and is nobody else's.
                drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
                count += 1;
            }
        }
    }
    if count == 1 { Ok(()) } else { Err(format!("{count} descriptors came in").into()) }
}

/// `FILE`.
fn receive_file(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    receive(|| Ok(File::open(path)?.into()))
}

/// `IP PORT`: a connection to there.
fn receive_socket(words: &mut Words<'_>) -> Result<(), Failure> {
    let address = (words.text()?, words.number()?);
    receive(|| Ok(TcpStream::connect(address)?.into()))
}
