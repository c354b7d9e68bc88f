//! A machine of its own with systemd as its first process, for a few seconds: `systemd-nspawn` over
//! this host's `/usr`, with an empty `/etc`, a network of its own and a private overlay on top, so
//! that nothing on the host changes.
//!
//! With `AGENTSENTRY_GUEST` in the environment it is an emulated machine instead
//! ([`crate::guest`]).
//!
//! cgroups: the machine has a pure v2 hierarchy, as today's distributions boot it. It lives in a
//! group of its own on the host, which goes with it.

use std::{
    fs,
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use crate::{
    guest,
    programs::{self, Gathered},
    scratch::Scratch,
    wait,
};

/// For the whole life of a machine, which takes a few seconds when nothing is wrong.
const LIMIT: Duration = Duration::from_secs(180);

/// dpkg's database.
const DPKG: &str = "/var/lib/dpkg";

/// What the machine runs: functions for the scripts of tests.
///
/// `step NAME COMMAND…` runs a command and keeps its output and exit code under the name; `await
/// COMMAND…` repeats it until it succeeds, for a minute at most (ten where the machine is
/// emulated), and then gives up the whole script. `$emulated` is not empty where a sensor takes
/// most of a minute to start. `asked LISTING` is the answer of the collector to an administrator.
const PRELUDE: &str = r#"
limit=60
emulated=
if grep -q systemd.unit=script.target /proc/cmdline; then
    limit=600
    emulated=yes
    useradd --uid 1000 --home-dir /tmp ada
fi
step() { local name=$1; shift; "$@" >/out/$name 2>&1; echo $? >/out/$name.code; }
await() {
    local end=$((SECONDS + limit))
    until "$@" >/out/await 2>&1; do
        if [ $SECONDS -ge $end ]; then echo "not within $limit s: $*: $(cat /out/await)"; exit 1; fi
        sleep 0.05
    done
}
asked() {
    local key=$(cat /var/lib/agentsentry-collector/admin.key)
    curl --silent --fail --header "Authorization: Bearer $key" http://127.0.0.1:8440/api/v1/$1
}
ended() {
    echo $1 >/out/script.code
    [ $1 = 0 ] || journalctl --output=cat --lines=40 --unit='agentsentry*'
}
trap 'ended $?' EXIT
grep -q ' /sys/fs/bpf bpf ' /proc/mounts || mount -t bpf bpf /sys/fs/bpf || exit 1
"#;

const TARGET: &str = "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=script.service\n";

const SERVICE: &str = "[Unit]\nAfter=basic.target\n\
     [Service]\nType=oneshot\nExecStart=/bin/bash /script\nExecStopPost=-/bin/sh /hand-over\n\
     ExecStopPost=/bin/systemctl poweroff --force\n\
     Environment=HOME=/root LANG=C.UTF-8 NO_COLOR=1 SYSTEMD_PAGER=cat\n\
     StandardOutput=file:/out/script\nStandardError=inherit\n";

/// From an emulated machine, which has no directory in common with the host.
const HAND_OVER: &str = "stty -F /dev/ttyS1 raw\ntar --create --directory=/out . | cat >/dev/ttyS1\n";

/// A machine before it is booted.
#[derive(Default)]
pub struct Machine {
    has_dpkg: bool,
    files: Vec<(PathBuf, String)>,
}

/// A machine that has run its script.
pub struct Ran {
    out: PathBuf,
    _scratch: Scratch,
}

/// A group of the host's hierarchies, removed with all that is in it when the value goes.
struct Group(Vec<PathBuf>);

/// As [`Machine::run`], with nothing more than every machine has.
///
/// # Panics
/// As [`Machine::run`].
#[must_use]
pub fn run(script: &str) -> Ran {
    Machine::default().run(script)
}

impl Machine {
    /// With the host's database of packages, so that more can be installed.
    #[must_use]
    pub fn with_dpkg(mut self) -> Self {
        self.has_dpkg = true;
        self
    }

    /// With a file of the host at the path, to be read.
    #[must_use]
    pub fn with_file(mut self, host: PathBuf, path: &str) -> Self {
        self.files.push((host, path.to_owned()));
        self
    }

    /// Boots it with the checkout's `deploy` and the built programs below `/src`, runs the script
    /// in `/src` as root, and waits until the machine is off.
    ///
    /// # Panics
    /// When the machine cannot be made or does not boot, or when the script fails or waits in vain.
    #[must_use]
    pub fn run(self, script: &str) -> Ran {
        boot(&self, script)
    }
}

fn boot(machine: &Machine, script: &str) -> Ran {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    fs::create_dir(&out).unwrap();
    let output = match guest::place() {
        Some(place) => emulated(&place, machine, script, &scratch, &out),
        None => contained(machine, script, &scratch, &out),
    };
    let ran = Ran { out, _scratch: scratch };
    let log = || format!("{}\n{}", ran.text("script"), programs::text(&output));
    assert!(output.status.success(), "the machine did not run: {}", log());
    assert_eq!(ran.text("script.code"), "0", "the script gave up: {}", log());
    ran
}

fn contained(machine: &Machine, script: &str, scratch: &Scratch, out: &Path) -> Output {
    let [root, upper] = ["root", "upper"].map(|name| scratch.join(name));
    for dir in [&root, &upper] {
        fs::create_dir(dir).unwrap();
    }
    make_root(&root, script);
    let group = Group::new();
    let mut command = Command::new("systemd-nspawn");
    command.args(["--quiet", "--register=no", "--private-network", "--console=pipe", "--boot"]);
    command.args(["--capability=all", "--system-call-filter=@known"]);
    if !Path::new("/run/systemd/system").exists() {
        command.arg("--keep-unit");
    }
    command.arg("--directory").arg(&root);
    command.arg(format!("--overlay=/usr:{}:/usr", upper.display()));
    command.arg(format!("--bind={}:/out", out.display()));
    // The place for the script to mount the BPF file system, which systemd leaves to the host.
    command.arg("--tmpfs=/sys/fs/bpf");
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").canonicalize().unwrap();
    command.arg(format!("--bind-ro={}:/src/deploy", deploy.display()));
    for name in ["sentry", "sentry-collector"] {
        let program = programs::path(name);
        command.arg(format!("--bind-ro={}:/src/target/release/{name}", program.display()));
    }
    if machine.has_dpkg {
        fs::create_dir(scratch.join("dpkg")).unwrap();
        fs::create_dir_all(scratch.join("root").join(&DPKG[1..])).unwrap();
        // The host's names groups that the machine does not have.
        fs::write(scratch.join("dpkg/statoverride"), "").unwrap();
        command.arg(format!("--overlay={DPKG}:{}:{DPKG}", scratch.join("dpkg").display()));
    }
    for (host, path) in &machine.files {
        command.arg(format!("--bind-ro={}:{path}", host.display()));
    }
    command.arg("systemd.unit=script.target");
    command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").stdin(Stdio::null());
    group.enter(&mut command);
    Gathered::start(&mut command).wait_within(LIMIT)
}

fn emulated(place: &Path, machine: &Machine, script: &str, scratch: &Scratch, out: &Path) -> Output {
    let mut files = machine.files.clone();
    let own = own_files(script);
    for (index, (path, text)) in own.iter().chain(&[("hand-over", HAND_OVER.to_owned())]).enumerate() {
        let file = scratch.join(&format!("own-{index}"));
        fs::write(&file, text).unwrap();
        files.push((file, format!("/{path}")));
    }
    guest::boot(place, scratch.path(), &files, out)
}

/// What runs the script, in every kind of machine.
fn own_files(script: &str) -> [(&'static str, String); 3] {
    [
        ("etc/systemd/system/script.target", TARGET.to_owned()),
        ("etc/systemd/system/script.service", SERVICE.to_owned()),
        ("script", format!("{PRELUDE}\ncd /src\n{script}\n")),
    ]
}

/// Only what systemd and the services cannot do without.
fn make_root(root: &Path, script: &str) {
    for dir in
        ["etc/systemd/system", "var/tmp", "run", "proc", "sys", "dev", "tmp", "root", "usr/lib/systemd"]
    {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link)).unwrap();
    }
    let files = [
        ("etc/machine-id", "5f0e2f4b1f1c4f6e9d0c0a6a5e5b1234\n"),
        ("etc/hostname", "machine\n"),
        ("etc/passwd", "root:x:0:0::/root:/bin/bash\nada:x:1000:1000::/tmp:/bin/bash\n"),
        ("etc/group", "root:x:0:\nada:x:1000:\n"),
        ("etc/shadow", "root:*:1::::::\nada:*:1::::::\n"),
        ("etc/nsswitch.conf", "passwd: files systemd\ngroup: files systemd\nhosts: files\n"),
        ("etc/login.defs", "USERGROUPS_ENAB yes\n"),
        ("etc/hosts", "127.0.0.1 localhost machine\n"),
        // The overlay hides these two; nspawn looks at them before it mounts it.
        ("usr/lib/os-release", "ID=test\n"),
        ("usr/lib/systemd/libsystemd-shared-252.so", ""),
    ];
    for (name, text) in files {
        fs::write(root.join(name), text).unwrap();
    }
    for (name, text) in own_files(script) {
        fs::write(root.join(name), text).unwrap();
    }
    symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
}

impl Ran {
    /// What a step printed and its exit code.
    ///
    /// # Panics
    /// When there was no such step.
    #[must_use]
    pub fn step(&self, name: &str) -> (i32, String) {
        let code = self.text(&format!("{name}.code"));
        let code = code.trim().parse();
        (code.unwrap_or_else(|_| panic!("no step {name}: {}", self.text("script"))), self.text(name))
    }

    /// What a step printed, which must have succeeded.
    ///
    /// # Panics
    /// When it failed.
    pub fn succeeded(&self, name: &str) -> String {
        let (code, text) = self.step(name);
        assert_eq!(code, 0, "{name}: {text}");
        text
    }

    fn text(&self, name: &str) -> String {
        fs::read(self.out.join(name)).map_or_else(
            |error| format!("({name}: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).trim().to_owned(),
        )
    }
}

impl Group {
    fn new() -> Self {
        let name = format!("sentry-it-machine-{}", std::process::id());
        let hierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
        let mut groups = Vec::new();
        for hierarchy in hierarchies.map(Path::new) {
            if hierarchy.join("cgroup.procs").exists() {
                let group = hierarchy.join(&name);
                fs::create_dir_all(&group).unwrap();
                groups.push(group);
            }
        }
        Self(groups)
    }

    fn enter(&self, command: &mut Command) {
        let files: Vec<_> = self.0.iter().map(|group| group.join("cgroup.procs")).collect();
        let files: Vec<_> =
            files.iter().map(|file| fs::File::options().write(true).open(file).unwrap()).collect();
        // SAFETY: between fork and exec only `write` is called, on descriptors that are open
        // already.
        unsafe {
            command.pre_exec(move || {
                files.iter().try_for_each(|mut file| std::io::Write::write_all(&mut file, b"0"))
            });
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for group in &self.0 {
            // What a machine that did not end by itself left running.
            fs::write(group.join("cgroup.kill"), "1").ok();
            wait::until(&format!("{} is removed", group.display()), || remove(group));
        }
    }
}

fn remove(group: &Path) -> Result<(), String> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path())?;
    }
    fs::remove_dir(group).map_err(|error| error.to_string())
}
