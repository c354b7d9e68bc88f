//! Other surroundings, for this process and the acts that follow.

use std::{os::fd::AsRawFd as _, path::Path};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::{Table, Words};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("private", private),
    ("private-without-exec", private_without_exec),
    ("private-system", private_system),
    ("private-bind", private_bind),
    ("private-overlay", private_overlay),
    ("private-network", private_network),
    ("private-loopback", private_loopback),
];

const NOTHING: Option<&Path> = None;

/// What is mounted from now on, nobody else sees.
fn apart() -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?)
}

/// `DIR`: empty.
fn private(words: &mut Words<'_>) -> Result<(), Failure> {
    apart()?;
    Ok(mount(Some("scene"), &words.path()?, Some("tmpfs"), MsFlags::empty(), NOTHING)?)
}

/// `DIR`: empty, and nothing in it can be executed.
fn private_without_exec(words: &mut Words<'_>) -> Result<(), Failure> {
    apart()?;
    Ok(mount(Some("scene"), &words.path()?, Some("tmpfs"), MsFlags::MS_NOEXEC, NOTHING)?)
}

/// `TYPE DIR`: a file system of that type.
fn private_system(words: &mut Words<'_>) -> Result<(), Failure> {
    apart()?;
    let kind = words.text()?;
    Ok(mount(Some("scene"), &words.path()?, Some(kind), MsFlags::empty(), NOTHING)?)
}

/// `FROM TO`: a file in the place of another.
fn private_bind(words: &mut Words<'_>) -> Result<(), Failure> {
    apart()?;
    Ok(mount(Some(&words.path()?), &words.path()?, NOTHING, MsFlags::MS_BIND, NOTHING)?)
}

/// `DIR`: an overlay at DIR/merged, of DIR/lower and DIR/upper.
fn private_overlay(words: &mut Words<'_>) -> Result<(), Failure> {
    apart()?;
    let dir = words.path()?;
    for name in ["upper", "work", "merged"] {
        std::fs::create_dir(dir.join(name))?;
    }
    let at = |name: &str| dir.join(name).display().to_string();
    let layers = format!("lowerdir={},upperdir={},workdir={}", at("lower"), at("upper"), at("work"));
    let place = dir.join("merged");
    Ok(mount(Some("scene"), &place, Some("overlay"), MsFlags::empty(), Some(layers.as_str()))?)
}

/// Without any way out.
fn private_network(_words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(unshare(CloneFlags::CLONE_NEWNET)?)
}

/// Loopback alone, where everybody may have ICMP sockets.
fn private_loopback(words: &mut Words<'_>) -> Result<(), Failure> {
    private_network(words)?;
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")?;
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: zeroes are a request without anything in it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l', b'o'].map(|byte| byte as libc::c_char));
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING)?;
    // SAFETY: the request lives until the call is over.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}
