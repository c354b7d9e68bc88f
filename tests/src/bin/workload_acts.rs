//! `workload_acts DIR TCP4 TCP6 UDP4 UDP6`: one of each act that the sensor reports, in a fixed
//! order, in DIR and to these ports of loopback. Port 0 is left out.

use std::{
    fs::{self, File, Permissions},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use sentry_tests::work::{Arguments, Deadline, Failure};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let dir = args.path("DIR")?;
    files(&dir)?;
    let (tcp_v4, tcp_v6) = (args.number("TCP4")?, args.number("TCP6")?);
    let (udp_v4, udp_v6) = (args.number("UDP4")?, args.number("UDP6")?);
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    for (address, tcp, udp) in [(v4, tcp_v4, udp_v4), (v6, tcp_v6, udp_v6)] {
        network(address, tcp, udp)?;
    }
    Ok(())
}

fn files(dir: &Path) -> Result<(), Failure> {
    // busybox knows what to be by its name.
    let copy = dir.join("true");
    fs::write(&copy, fs::read("/bin/true")?)?;
    fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
    let status = Command::new(&copy).arg("an argument").status()?;
    if !status.success() {
        return Err(format!("the copy ended with {status}").into());
    }
    let link = dir.join("link");
    std::os::unix::fs::symlink("true", &link)?;
    drop(File::open(&link)?);
    let below_root = copy.strip_prefix("/")?;
    drop(File::open(Path::new("/proc/self/root").join(below_root))?);
    let renamed = dir.join("renamed");
    fs::rename(&copy, &renamed)?;
    fs::remove_file(&renamed)?;
    Ok(())
}

fn network(address: IpAddr, tcp: u16, udp: u16) -> Result<(), Failure> {
    if tcp != 0 {
        drop(TcpStream::connect((address, tcp))?);
    }
    if udp != 0 {
        let unspecified: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((unspecified, 0))?;
        socket.send_to(b"to an address", (address, udp))?;
        socket.connect((address, udp))?;
    }
    Ok(())
}
