//! `workload_tree WHAT DIR CGROUP`: becomes the first of a tree of processes that are hard to end,
//! and writes to DIR/ready how many are in place once all are. CGROUP is a directory outside of the
//! run. WHAT is a number, from which the tree is drawn, or one shape of [`SHAPES`] for a single
//! child.
//!
//! At most [`MOST`] nodes. What the kernel refuses (a namespace in a namespace, say) is left out,
//! the rest stands.
#![expect(unsafe_code, reason = "it does by system call what agents do")]

use std::{
    fs, io,
    io::Read as _,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::{
    libc::{self, c_int, c_void},
    sched::{CloneFlags, unshare},
    sys::{
        ptrace,
        signal::{Signal, raise},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{ForkResult, Pid, fork, pipe, setsid},
};
use sentry_tests::{
    cgroup, procs,
    work::{Arguments, Deadline, Failure, announce, wait_for_the_end},
};

/// Nodes of a tree.
const MOST: usize = 10;
const DEPTH: u32 = 3;

/// What a process becomes once its children are there.
#[derive(Clone, Copy)]
enum Shape {
    Plain,
    Threads,
    /// Its first thread has ended, another lives.
    Headless,
    /// The same, and the others have moved out.
    HeadlessMoved,
    /// The same, but the first thread ended outside and the others came back.
    HeadlessReturned,
    /// Threads in a threaded group.
    Split,
    HeadlessSplit,
    /// Waits for a child that has its memory.
    Vfork,
    /// Holds a child in a stop.
    Tracer,
    /// The same, and the child stops again at its end.
    TracerOfTheEnd,
    TracerMoved,
    Stopped,
    /// Makes children that end soon.
    Breeder,
    Moved,
    Nested,
    Frozen,
    Orphan,
    /// In namespaces of its own.
    UserNamespace,
    MountNamespace,
    /// Its children are in a pid namespace, whose first process is the first of them.
    PidNamespace,
}

const SHAPES: [(&str, Shape); 20] = [
    ("plain", Shape::Plain),
    ("threads", Shape::Threads),
    ("headless", Shape::Headless),
    ("headless-moved", Shape::HeadlessMoved),
    ("headless-returned", Shape::HeadlessReturned),
    ("split", Shape::Split),
    ("headless-split", Shape::HeadlessSplit),
    ("vfork", Shape::Vfork),
    ("tracer", Shape::Tracer),
    ("tracer-of-the-end", Shape::TracerOfTheEnd),
    ("tracer-moved", Shape::TracerMoved),
    ("stopped", Shape::Stopped),
    ("breeder", Shape::Breeder),
    ("moved", Shape::Moved),
    ("nested", Shape::Nested),
    ("frozen", Shape::Frozen),
    ("orphan", Shape::Orphan),
    ("user-namespace", Shape::UserNamespace),
    ("mount-namespace", Shape::MountNamespace),
    ("pid-namespace", Shape::PidNamespace),
];

struct Node {
    shape: Shape,
    children: Vec<Node>,
}

/// Draws trees: `splitmix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn nodes(&mut self, depth: u32, left: &mut usize) -> Vec<Node> {
        let mut nodes = Vec::new();
        for _ in 0..=self.roll(3) {
            if *left == 0 {
                break;
            }
            *left -= 1;
            let shape = SHAPES[self.roll(SHAPES.len())].1;
            // Whoever stands in a frozen group does not get into its place.
            let bears = depth < DEPTH && !matches!(shape, Shape::Frozen | Shape::Vfork);
            let mut children = if bears && *left > 0 { self.nodes(depth + 1, left) } else { Vec::new() };
            // The end of a namespace's first process is the end of all in it.
            if let (Shape::PidNamespace, Some(Node { shape: first @ Shape::Orphan, .. })) =
                (shape, children.first_mut())
            {
                *first = Shape::Plain;
            }
            nodes.push(Node { shape, children });
        }
        nodes
    }
}

fn main() -> Result<(), Failure> {
    let life = Deadline::new();
    let mut args = Arguments::new();
    let (what, dir, outside) = (args.text("WHAT")?, args.path("DIR")?, args.path("CGROUP")?);
    let nodes = match (what.parse(), SHAPES.iter().find(|(name, _)| *name == what)) {
        (Ok(seed), _) => Dice(seed).nodes(1, &mut { MOST }),
        (_, Some((_, shape))) => vec![Node { shape: *shape, children: Vec::new() }],
        (Err(_), None) => return Err(format!("{what} is neither a number nor a shape").into()),
    };
    let home = cgroup::mount().join(own_group()?.trim_start_matches('/'));
    let (ready, tell) = pipe()?;
    let stage = Stage { life, outside, home, tell };
    stage.bear(&nodes)?;
    let count = nodes.iter().map(count).sum();
    fs::File::from(ready).read_exact(&mut vec![0; count])?;
    announce(&dir.join("ready"), &count.to_string())?;
    wait_for_the_end()
}

fn count(node: &Node) -> usize {
    1 + node.children.iter().map(count).sum::<usize>()
}

fn own_group() -> Result<String, Failure> {
    procs::cgroup(std::process::id()).ok_or_else(|| "no cgroup v2".into())
}

/// What every node knows.
struct Stage {
    life: Deadline,
    outside: PathBuf,
    /// The run's own group.
    home: PathBuf,
    tell: OwnedFd,
}

impl Stage {
    fn bear(&self, nodes: &[Node]) -> Result<(), Failure> {
        for node in nodes {
            if self.in_child()? {
                if let Err(error) = self.become_node(node) {
                    eprintln!("a node of the tree: {error}");
                }
                std::process::exit(1);
            }
        }
        Ok(())
    }

    fn in_child(&self) -> Result<bool, Failure> {
        // SAFETY: this process has one thread, so the child may go on with everything it has.
        let child = matches!(unsafe { fork() }?, ForkResult::Child);
        if child {
            self.life.arm();
        }
        Ok(child)
    }

    fn in_place(&self) -> Result<(), Failure> {
        nix::unistd::write(&self.tell, b"!")?;
        Ok(())
    }

    fn become_node(&self, node: &Node) -> Result<(), Failure> {
        self.go(node.shape)?;
        self.bear(&node.children)?;
        match node.shape {
            Shape::Threads => self.live_in_threads(false, |_| Ok(())),
            Shape::Headless => self.live_in_threads(true, |_| Ok(())),
            Shape::HeadlessMoved => self.live_in_threads(true, |stage| enter(&stage.outside)),
            Shape::HeadlessReturned => self.live_in_threads(true, |stage| enter(&stage.home)),
            Shape::Split | Shape::HeadlessSplit => {
                let headless = matches!(node.shape, Shape::HeadlessSplit);
                let group = nested("split").and_then(|group| {
                    enter(&group)?;
                    let part = group.join("part");
                    fs::create_dir(&part)?;
                    fs::write(part.join("cgroup.type"), "threaded")?;
                    Ok(part)
                });
                let Ok(part) = group else { return self.live_in_threads(headless, |_| Ok(())) };
                self.live_in_threads(headless, move |_| Ok(fs::write(part.join("cgroup.threads"), "0")?))
            }
            Shape::Vfork => self.vfork(),
            Shape::Tracer => self.trace(ptrace::Options::empty(), false),
            Shape::TracerOfTheEnd => self.trace(ptrace::Options::PTRACE_O_TRACEEXIT, false),
            Shape::TracerMoved => self.trace(ptrace::Options::PTRACE_O_TRACEEXIT, true),
            Shape::Stopped => {
                self.in_place()?;
                loop {
                    raise(Signal::SIGSTOP)?;
                }
            }
            Shape::Breeder => self.breed(),
            Shape::Frozen => {
                self.in_place()?;
                let own = cgroup::mount().join(own_group()?.trim_start_matches('/'));
                // Not the whole run, where no group could be made below it.
                if own != self.home {
                    fs::write(own.join("cgroup.freeze"), "1")?;
                }
                wait_for_the_end()
            }
            _ => {
                self.in_place()?;
                wait_for_the_end()
            }
        }
    }

    /// To where the node's children are born.
    fn go(&self, shape: Shape) -> Result<(), Failure> {
        let refused = match shape {
            Shape::Moved | Shape::HeadlessReturned => enter(&self.outside).is_err(),
            Shape::Nested | Shape::Frozen => nested("nested").and_then(|group| enter(&group)).is_err(),
            Shape::UserNamespace => unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).is_err(),
            Shape::MountNamespace => unshare(CloneFlags::CLONE_NEWNS).is_err(),
            Shape::PidNamespace => unshare(CloneFlags::CLONE_NEWPID).is_err(),
            Shape::Orphan => {
                setsid()?;
                if !self.in_child()? {
                    std::process::exit(0);
                }
                false
            }
            _ => false,
        };
        if refused {
            eprintln!("the kernel refused a node its place");
        }
        Ok(())
    }

    /// Two threads that wait, of which one does `then` first, and where `headless` only after the
    /// first thread has ended.
    fn live_in_threads(
        &self,
        headless: bool,
        then: impl FnOnce(&Self) -> Result<(), Failure> + Send,
    ) -> Result<(), Failure> {
        thread::scope(|scope| {
            scope.spawn(|| wait_for_the_end());
            scope.spawn(|| {
                while headless && procs::state(own_number()) != Some('Z') {
                    thread::sleep(Duration::from_millis(1));
                }
                if then(self).is_err() {
                    eprintln!("the kernel refused a thread its place");
                }
                self.in_place().ok();
                wait_for_the_end()
            });
            if headless {
                // SAFETY: ends this thread alone; what the others use of its stack stays mapped.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
            }
            wait_for_the_end()
        })
    }

    fn vfork(&self) -> Result<(), Failure> {
        extern "C" fn wait(tell: *mut c_void) -> c_int {
            let byte = b'!';
            // SAFETY: system calls alone, on memory and a descriptor that the waiting parent keeps.
            unsafe {
                libc::alarm(600);
                libc::write(tell as c_int, (&raw const byte).cast(), 1);
                loop {
                    libc::pause();
                }
            }
        }
        let mut stack = vec![0_u8; 1 << 16];
        let top = stack.as_mut_ptr_range().end;
        let top = top.wrapping_sub(top as usize % 16);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: the child runs on a stack of its own, which lives until it has ended: this
        // process waits for that.
        let child = unsafe { libc::clone(wait, top.cast(), flags, self.tell.as_raw_fd() as *mut c_void) };
        if child < 0 {
            eprintln!("no vfork: {}", io::Error::last_os_error());
            self.in_place()?;
        }
        wait_for_the_end()
    }

    fn trace(&self, options: ptrace::Options, moved: bool) -> Result<(), Failure> {
        // SAFETY: this process has one thread, so the child may go on with everything it has.
        match unsafe { fork() }? {
            ForkResult::Child => {
                self.life.arm();
                ptrace::traceme()?;
                raise(Signal::SIGSTOP)?;
                wait_for_the_end()
            }
            ForkResult::Parent { child } => {
                waitpid(child, Some(WaitPidFlag::WUNTRACED))?;
                ptrace::setoptions(child, options)?;
            }
        }
        if moved && enter(&self.outside).is_err() {
            eprintln!("the kernel refused a tracer its place");
        }
        self.in_place()?;
        wait_for_the_end()
    }

    fn breed(&self) -> Result<(), Failure> {
        self.in_place()?;
        loop {
            if self.in_child()? {
                thread::sleep(Duration::from_millis(20));
                std::process::exit(0);
            }
            // Whichever has ended: other nodes may be children too.
            waitpid(None::<Pid>, None)?;
        }
    }
}

/// The own number as `/proc` has it, also from within a pid namespace.
fn own_number() -> u32 {
    let link = fs::read_link("/proc/self").unwrap_or_default();
    link.to_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn enter(group: &Path) -> Result<(), Failure> {
    Ok(fs::write(group.join("cgroup.procs"), "0")?)
}

/// A new group below the own one.
fn nested(name: &str) -> Result<PathBuf, Failure> {
    let own =
        cgroup::mount().join(procs::cgroup(own_number()).ok_or("no cgroup v2")?.trim_start_matches('/'));
    let group = own.join(format!("{name}-{}", own_number()));
    fs::create_dir(&group)?;
    Ok(group)
}
