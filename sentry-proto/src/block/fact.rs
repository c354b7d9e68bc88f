//! What a block can be asked for without being opened.

use twox_hash::XxHash3_64;

use crate::v1::{self, event::Kind};

/// Something that an event may say. Texts as they stand in events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A file, an executable or a cgroup of this path.
    Path(&'a str),
    /// Something below this directory; without a slash at the end.
    Under(&'a str),
    /// A file of this name, in whatever directory, or a host.
    Name(&'a str),
    /// The other side's or the own address: 4 or 16 bytes.
    Address(&'a [u8]),
    /// A thread-group id: who acted, or whom it concerned.
    Process(u32),
    /// The name of an act, such as "truncate".
    Act(&'a str),
}

impl Fact<'_> {
    /// Stands in filters: the same in every version.
    pub(super) fn hash(&self) -> u64 {
        let of = |sort: u64, bytes: &[u8]| XxHash3_64::oneshot_with_seed(sort, bytes);
        match self {
            Self::Path(path) => of(1, path.as_bytes()),
            Self::Under(directory) => of(2, directory.as_bytes()),
            Self::Name(name) => of(3, name.as_bytes()),
            Self::Address(address) => of(4, address),
            Self::Process(tgid) => of(5, &tgid.to_le_bytes()),
            Self::Act(act) => of(6, act.as_bytes()),
        }
    }
}

/// The field of an exec in an event.
pub(super) const EXEC: u64 = 17;

/// The bit of an event's kind in [`v1::BlockHead::kinds`].
#[must_use]
pub fn kind_bit(kind: &Kind) -> u64 {
    let field = match kind {
        Kind::Fork(_) => 16,
        Kind::Exec(_) => EXEC,
        Kind::Exit(_) => 18,
        Kind::Seed(_) => 19,
        Kind::CgroupMove(_) => 20,
        Kind::CgroupMake(_) => 21,
        Kind::CgroupRemove(_) => 22,
        Kind::Connect(_) => 23,
        Kind::Send(_) => 24,
        Kind::Open(_) => 25,
        Kind::Unlink(_) => 26,
        Kind::Rename(_) => 27,
        Kind::ExecFailed(_) => 28,
        Kind::File(_) => 29,
        Kind::Socket(_) => 30,
        Kind::Unix(_) => 31,
        Kind::Dns(_) => 32,
        Kind::TlsHello(_) => 33,
        Kind::Target(_) => 34,
        Kind::Kernel(_) => 35,
        Kind::Completeness(_) => 36,
        Kind::StartedOutside(_) => 37,
    };
    1 << (field - 16)
}

/// Collects the facts of processes and kinds.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) hashes: Vec<u64>,
}

impl Facts {
    fn add(&mut self, fact: Fact<'_>) {
        self.hashes.push(fact.hash());
    }

    /// The path, its last part and the directories above it.
    fn path(&mut self, text: &str) {
        self.add(Fact::Path(text));
        let mut rest = text;
        while let Some((above, name)) = rest.rsplit_once('/') {
            if rest.len() == text.len() {
                self.add(Fact::Name(name));
            }
            if !above.is_empty() {
                self.add(Fact::Under(above));
            }
            rest = above;
        }
    }

    fn paths<'a>(&mut self, paths: impl IntoIterator<Item = &'a Option<v1::Path>>) {
        paths.into_iter().flatten().for_each(|path| self.path(&path.text));
    }

    fn files<'a>(&mut self, files: impl IntoIterator<Item = &'a Option<v1::File>>) {
        files.into_iter().flatten().for_each(|file| self.paths([&file.path]));
    }

    fn sides<'a>(&mut self, sides: impl IntoIterator<Item = &'a Option<v1::Endpoint>>) {
        sides.into_iter().flatten().for_each(|side| self.add(Fact::Address(&side.address)));
    }

    fn keys<'a>(&mut self, keys: impl IntoIterator<Item = &'a Option<v1::ProcessKey>>) {
        keys.into_iter().flatten().for_each(|key| self.add(Fact::Process(key.tgid)));
    }

    pub(super) fn process(&mut self, process: &v1::Process) {
        self.keys([&process.key]);
        self.files([&process.executable]);
    }

    pub(super) fn kind(&mut self, kind: &Kind) {
        match kind {
            Kind::Fork(fork) => self.keys([&fork.child]),
            Kind::Exec(exec) => {
                self.paths([&exec.requested]);
                self.files([&exec.script]);
            }
            Kind::ExecFailed(failed) => self.paths([&failed.path]),
            Kind::Exit(_) | Kind::Seed(_) | Kind::Completeness(_) => {}
            Kind::StartedOutside(started) => self.keys([&started.asked]),
            Kind::CgroupMove(moved) => self.path(&moved.path),
            Kind::CgroupMake(made) => self.path(&made.path),
            Kind::CgroupRemove(removed) => self.path(&removed.path),
            Kind::Connect(connect) => self.sides([&connect.destination]),
            Kind::Send(send) => self.sides([&send.destination]),
            Kind::Open(open) => self.files([&open.file]),
            Kind::Unlink(unlink) => self.files([&unlink.file]),
            Kind::Rename(rename) => {
                self.files([&rename.file]);
                self.paths([&rename.new_path]);
            }
            Kind::File(act) => {
                self.add(Fact::Act(&act.act));
                self.files([&act.file]);
                self.paths([&act.new_path]);
            }
            Kind::Socket(act) => {
                self.add(Fact::Act(&act.act));
                self.sides([&act.local, &act.remote]);
            }
            Kind::Unix(unix) => {
                self.path(&unix.name);
                self.keys([&unix.peer]);
            }
            Kind::Dns(dns) => {
                self.sides([&dns.server]);
                self.add(Fact::Name(&dns.name));
            }
            Kind::TlsHello(hello) => {
                self.sides([&hello.destination]);
                self.add(Fact::Name(&hello.server_name));
            }
            Kind::Target(act) => {
                self.add(Fact::Act(&act.act));
                self.keys([&act.target]);
            }
            Kind::Kernel(act) => {
                self.add(Fact::Act(&act.act));
                self.paths([&act.path]);
            }
        }
    }
}
