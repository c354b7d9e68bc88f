//! The canary's process: one act of each kind that the sensor promises to see, on a byte from
//! standard input. Its files are in the current directory.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read as _},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::Command,
};

use super::exit::Exit;
use sentry_agent::OWN_IMAGE;

/// The discard port: nothing is sent there but an empty datagram, on loopback.
const NOWHERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9);

/// Nobody reads its errors: what it could not do does not come back, which is what the sensor looks
/// at.
pub(super) fn run(leaf: bool) -> Exit {
    // The leaf is there to be a fork, an exec and an exit.
    match if leaf { Ok(()) } else { act() } {
        Ok(()) => Exit::Ok,
        Err(_) => Exit::Failure,
    }
}

fn act() -> io::Result<()> {
    io::stdin().read_exact(&mut [0])?;
    let place = PathBuf::from(format!(".agentsentry-canary-{}", std::process::id()));
    let files = files(&place);
    // Whatever the result.
    let _gone_already = fs::remove_dir_all(&place);
    files?;
    tcp()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    // That nobody listens is as good: the act is what counts.
    let _nobody_listens = socket.send_to(&[], NOWHERE);
    socket.connect(NOWHERE)?;
    Command::new(OWN_IMAGE).args(["canary", "--leaf"]).env_clear().status()?;
    let _there_is_no_such_program = Command::new("/.agentsentry-canary").status();
    Ok(())
}

/// Everything in a directory of its own.
fn files(place: &Path) -> io::Result<()> {
    fs::create_dir(place)?;
    let (file, renamed) = (place.join("file"), place.join("renamed"));
    let made = File::create_new(&file)?;
    made.set_len(1)?;
    made.set_permissions(Permissions::from_mode(0o600))?;
    drop(made);
    fs::hard_link(&file, place.join("link"))?;
    symlink(&file, place.join("symlink"))?;
    fs::rename(&file, &renamed)?;
    fs::remove_file(&renamed)?;
    let name = place.join("socket");
    let _listener = UnixListener::bind(&name)?;
    let _stream = UnixStream::connect(&name)?;
    Ok(())
}

fn tcp() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let _stream = TcpStream::connect(listener.local_addr()?)?;
    listener.accept()?;
    Ok(())
}
