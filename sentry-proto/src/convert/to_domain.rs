//! Wire → domain. Total: a value, or an error that names the field.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sentry_detect::{
    act::{FileAct, KernelAct, SocketAct, TargetAct},
    event as domain, run,
};

use super::ConvertError;
use crate::v1;

impl TryFrom<v1::Event> for domain::Event {
    type Error = ConvertError;

    fn try_from(wire: v1::Event) -> Result<Self, ConvertError> {
        let agent = present(wire.agent, "Event", "agent")?;
        Ok(Self {
            id: wire.id,
            run: run::RunId(wire.run).into(),
            agent: run::AgentIdentity { id: agent.id, name: agent.name }.into(),
            ring: ring(wire.ring)?,
            sequence: wire.sequence,
            time_unix_ns: wire.time_unix_ns,
            process: domain::Process::try_from(present(wire.process, "Event", "process")?)?.into(),
            kind: present(wire.kind, "Event", "kind")?.try_into()?,
        })
    }
}

impl TryFrom<v1::Process> for domain::Process {
    type Error = ConvertError;

    fn try_from(wire: v1::Process) -> Result<Self, ConvertError> {
        Ok(Self {
            key: present(wire.key, "Process", "key")?.into(),
            tid: wire.tid,
            parent: wire.parent.map(Into::into),
            executable: wire.executable.map(TryInto::try_into).transpose()?,
            argv: wire.argv.map(Into::into),
            cwd: wire.cwd.map(TryInto::try_into).transpose()?,
            uid: wire.uid,
            gid: wire.gid,
            euid: wire.euid,
            pre_existing: wire.pre_existing,
        })
    }
}

impl From<v1::ProcessKey> for run::ProcessKey {
    fn from(wire: v1::ProcessKey) -> Self {
        Self { tgid: wire.tgid, start_boot_ns: wire.start_boot_ns }
    }
}

impl From<v1::Argv> for domain::Argv {
    fn from(wire: v1::Argv) -> Self {
        let v1::Argv { arguments, truncated, full_length_bytes } = wire;
        Self { arguments, truncated, full_length_bytes }
    }
}

impl TryFrom<v1::Path> for domain::Path {
    type Error = ConvertError;

    fn try_from(wire: v1::Path) -> Result<Self, ConvertError> {
        let source = match v1::path::Source::try_from(wire.source) {
            Ok(v1::path::Source::Kernel) => domain::PathSource::Kernel,
            Ok(v1::path::Source::Argument) => domain::PathSource::Argument,
            Ok(v1::path::Source::Unspecified) => {
                return Err(ConvertError::Missing { message: "Path", field: "source" });
            }
            Err(prost::UnknownEnumValue(value)) => return Err(unknown("Path", "source", value)),
        };
        Ok(Self { text: wire.text, source, truncated: wire.truncated })
    }
}

impl TryFrom<v1::File> for domain::File {
    type Error = ConvertError;

    fn try_from(wire: v1::File) -> Result<Self, ConvertError> {
        Ok(Self {
            path: present(wire.path, "File", "path")?.try_into()?,
            key: wire.key.map(|key| {
                let v1::FileKey { device_major, device_minor, inode, generation, links, mode } = key;
                domain::FileKey { device_major, device_minor, inode, generation, links, mode }
            }),
        })
    }
}

impl TryFrom<v1::Endpoint> for domain::Endpoint {
    type Error = ConvertError;

    fn try_from(wire: v1::Endpoint) -> Result<Self, ConvertError> {
        let length = wire.address.len();
        let address = if let Ok(octets) = <[u8; 4]>::try_from(wire.address.as_slice()) {
            IpAddr::V4(Ipv4Addr::from(octets))
        } else if let Ok(octets) = <[u8; 16]>::try_from(wire.address.as_slice()) {
            IpAddr::V6(Ipv6Addr::from(octets))
        } else {
            return Err(ConvertError::AddressLength { length });
        };
        Ok(Self {
            address,
            port: narrow(wire.port, "Endpoint", "port")?,
            protocol: narrow(wire.protocol, "Endpoint", "protocol")?,
        })
    }
}

impl From<v1::OpenIntent> for domain::OpenIntent {
    fn from(wire: v1::OpenIntent) -> Self {
        let v1::OpenIntent { read, write, truncate, append, path_only, raw } = wire;
        Self { read, write, truncate, append, path_only, raw }
    }
}

impl TryFrom<v1::event::Kind> for domain::EventKind {
    type Error = ConvertError;

    #[expect(clippy::too_many_lines, reason = "a table: a row for each kind")]
    fn try_from(wire: v1::event::Kind) -> Result<Self, ConvertError> {
        use v1::event::Kind;
        Ok(match wire {
            Kind::Fork(fork) => Self::Fork { child: present(fork.child, "Fork", "child")?.into() },
            Kind::Exec(exec) => Self::Exec {
                requested: exec.requested.map(TryInto::try_into).transpose()?,
                script: exec.script.map(TryInto::try_into).transpose()?,
                by_thread: exec.by_thread,
            },
            Kind::ExecFailed(failed) => Self::ExecFailed {
                path: present(failed.path, "ExecFailed", "path")?.try_into()?,
                error: failed.error,
            },
            Kind::Exit(v1::Exit { code, signal }) => Self::Exit { code, signal },
            Kind::Seed(v1::Seed {}) => Self::Seed,
            Kind::StartedOutside(started) => {
                Self::StartedOutside { asked: present(started.asked, "StartedOutside", "asked")?.into() }
            }
            Kind::CgroupMove(v1::CgroupMove { cgroup, path, in_run, member_before, at_birth }) => {
                Self::CgroupMove { cgroup, path, in_run, member_before, at_birth }
            }
            Kind::CgroupMake(v1::CgroupMake { cgroup, path }) => Self::CgroupMake { cgroup, path },
            Kind::CgroupRemove(v1::CgroupRemove { cgroup, path }) => Self::CgroupRemove { cgroup, path },
            Kind::Completeness(v1::Completeness { missing, lost, throttled }) => {
                Self::Completeness { missing, lost, throttled }
            }
            Kind::Connect(connect) => Self::Connect {
                destination: present(connect.destination, "Connect", "destination")?.try_into()?,
            },
            Kind::Send(send) => {
                Self::Send { destination: present(send.destination, "Send", "destination")?.try_into()? }
            }
            Kind::Open(open) => Self::Open {
                file: present(open.file, "Open", "file")?.try_into()?,
                intent: present(open.intent, "Open", "intent")?.into(),
                created: open.created,
                attempt: open.attempt,
            },
            Kind::Unlink(unlink) => Self::Unlink {
                file: present(unlink.file, "Unlink", "file")?.try_into()?,
                attempt: unlink.attempt,
            },
            Kind::Rename(rename) => Self::Rename {
                file: present(rename.file, "Rename", "file")?.try_into()?,
                new_path: present(rename.new_path, "Rename", "new_path")?.try_into()?,
                attempt: rename.attempt,
            },
            Kind::File(file) => Self::File {
                act: act(FileAct::from_name, file.act, "FileAct")?,
                file: file.file.map(TryInto::try_into).transpose()?,
                new_path: file.new_path.map(TryInto::try_into).transpose()?,
                detail: file.detail,
                text: file.text,
                attempt: file.attempt,
                error: file.error,
            },
            Kind::Socket(socket) => Self::Socket {
                act: act(SocketAct::from_name, socket.act, "SocketAct")?,
                family: narrow(socket.family, "SocketAct", "family")?,
                socket_type: narrow(socket.socket_type, "SocketAct", "socket_type")?,
                local: socket.local.map(TryInto::try_into).transpose()?,
                remote: socket.remote.map(TryInto::try_into).transpose()?,
                cookie: socket.cookie,
                error: socket.error,
            },
            Kind::Unix(unix) => Self::Unix {
                name: unix.name,
                datagram: unix.datagram,
                peer: unix.peer.map(Into::into),
                peer_uid: unix.peer_uid,
                peer_executable: unix.peer_executable,
                peer_in_run: unix.peer_in_run,
                service: unix.service,
                error: unix.error,
            },
            Kind::Dns(dns) => Self::Dns {
                server: present(dns.server, "Dns", "server")?.try_into()?,
                answer: dns.answer,
                name: dns.name,
                record_type: dns.record_type,
                code: dns.code,
                answers: dns.answers,
            },
            Kind::TlsHello(hello) => Self::TlsHello {
                destination: present(hello.destination, "TlsHello", "destination")?.try_into()?,
                server_name: hello.server_name,
            },
            Kind::Target(target) => Self::Target {
                act: act(TargetAct::from_name, target.act, "TargetAct")?,
                target: present(target.target, "TargetAct", "target")?.into(),
                code: target.code,
                target_in_run: target.target_in_run,
                attempt: target.attempt,
                error: target.error,
            },
            Kind::Kernel(kernel) => Self::Kernel {
                act: act(KernelAct::from_name, kernel.act, "KernelAct")?,
                code: kernel.code,
                detail: kernel.detail,
                path: kernel.path.map(TryInto::try_into).transpose()?,
                text: kernel.text,
                error: kernel.error,
            },
        })
    }
}

fn ring(value: i32) -> Result<domain::Ring, ConvertError> {
    match v1::event::Ring::try_from(value) {
        Ok(v1::event::Ring::Critical) => Ok(domain::Ring::Critical),
        Ok(v1::event::Ring::Bulk) => Ok(domain::Ring::Bulk),
        Ok(v1::event::Ring::Unspecified) => Err(ConvertError::Missing { message: "Event", field: "ring" }),
        Err(prost::UnknownEnumValue(value)) => Err(unknown("Event", "ring", value)),
    }
}

fn act<T>(from_name: fn(&str) -> Option<T>, name: String, message: &'static str) -> Result<T, ConvertError> {
    from_name(&name).ok_or(ConvertError::Act { message, name })
}

fn present<T>(value: Option<T>, message: &'static str, field: &'static str) -> Result<T, ConvertError> {
    value.ok_or(ConvertError::Missing { message, field })
}

fn narrow(value: u32, message: &'static str, field: &'static str) -> Result<u16, ConvertError> {
    match u16::try_from(value) {
        Ok(value) => Ok(value),
        Err(std::num::TryFromIntError { .. }) => {
            Err(ConvertError::TooLarge { message, field, value: value.into(), limit: u16::MAX.into() })
        }
    }
}

fn unknown(message: &'static str, field: &'static str, value: i32) -> ConvertError {
    ConvertError::Unknown { message, field, value: value.into() }
}
