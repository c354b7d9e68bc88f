//! The canary's process: one act of each kind that the sensor promises to see, on a byte from standard input.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    net::{Ipv4Addr, UdpSocket},
    process::Command,
};

use super::exit::Exit;
use crate::OWN_IMAGE;

/// The discard port: nothing is sent there but an empty datagram, on loopback.
const NOWHERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9);

/// Nobody reads its errors: what it could not do does not come back, which is what the sensor looks at.
pub(super) fn run(leaf: bool) -> Exit {
    // The leaf is there to be a fork, an exec and an exit.
    match if leaf { Ok(()) } else { act() } {
        Ok(()) => Exit::Ok,
        Err(_) => Exit::Failure,
    }
}

fn act() -> io::Result<()> {
    io::stdin().read_exact(&mut [0])?;
    let place = std::env::temp_dir().join(format!(".agentsentry-canary-{}", std::process::id()));
    let renamed = place.with_extension("renamed");
    drop(File::create_new(&place)?);
    fs::rename(&place, &renamed)?;
    fs::remove_file(&renamed)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    // That nobody listens is as good: the act is what counts.
    let _nobody_listens = socket.send_to(&[], NOWHERE);
    socket.connect(NOWHERE)?;
    Command::new(OWN_IMAGE).args(["canary", "--leaf"]).env_clear().status()?;
    Ok(())
}
