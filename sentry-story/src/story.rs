//! Folds the events of a run, in their order, into what it did.

use std::{collections::HashMap, sync::Arc};

use sentry_detect::{
    runaway::Severity,
    sensitive::{OwnClass, SensitiveFiles},
};
use sentry_proto::v1::{self, event::Kind};
use sentry_view::{Activity, Exit, Left};

use crate::{
    calls::Calls,
    error::DataError,
    files::Files,
    network::Network,
    places::Places,
    process::{Key, Outlived, Process, Processes, key},
    shapes::Shapes,
    text::path_of,
    tree::Tree,
};

/// A process that ends within this time behind the first one was on its way out, ns.
const GRACE_NS: u64 = 1_000_000_000;

/// What is known of agents, files and places before any event.
#[derive(Clone, Debug)]
pub struct Knowledge {
    pub shapes: Shapes,
    pub places: Places,
    pub sensitive: Arc<SensitiveFiles>,
}

impl Knowledge {
    /// What comes with the program.
    ///
    /// # Errors
    ///
    /// A data file is broken; a test excludes that.
    pub fn built_in() -> Result<Self, DataError> {
        Ok(Self {
            shapes: Shapes::built_in()?,
            places: Places::built_in()?,
            sensitive: SensitiveFiles::built_in(),
        })
    }

    /// With the classes of sensitive files of the sensor's configuration. One that this program
    /// cannot read is left out with all of them.
    #[must_use]
    pub fn with_classes(self, classes: &[v1::SensitiveClass]) -> Self {
        let own = |class: &v1::SensitiveClass| {
            let v1::SensitiveClass { name, title, paths, except } = class.clone();
            // How severe a read is does not show here.
            OwnClass { name, title, severity: Severity::Medium, paths, except }
        };
        let own = classes.iter().map(own).collect();
        Self { sensitive: SensitiveFiles::with(own).unwrap_or(self.sensitive), ..self }
    }
}

/// The events of one run, folded as they come.
#[derive(Debug)]
pub struct Story<'a> {
    knowledge: &'a Knowledge,
    /// Findings by the events that they rest on.
    evidence: HashMap<String, Vec<String>>,
    processes: Processes,
    calls: Calls,
    files: Files,
    network: Network,
    tree: Option<Tree>,
    directory: Option<String>,
}

impl<'a> Story<'a> {
    /// Begins; `findings` are those of the run, where they are known.
    #[must_use]
    pub fn new(knowledge: &'a Knowledge, findings: &[v1::Finding]) -> Self {
        let mut evidence: HashMap<String, Vec<String>> = HashMap::new();
        for finding in findings {
            for event in &finding.evidence {
                evidence.entry(event.clone()).or_default().push(finding.id.clone());
            }
        }
        Self {
            knowledge,
            evidence,
            processes: Processes::default(),
            calls: Calls::default(),
            files: Files::default(),
            network: Network::default(),
            tree: None,
            directory: None,
        }
    }

    /// Also gathers the tree of processes.
    #[must_use]
    pub fn with_tree(self) -> Self {
        Self { tree: Some(Tree::default()), ..self }
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &v1::Event) {
        let actor = self.processes.actor(event);
        if let Some(tree) = &mut self.tree {
            tree.seen(actor, event.time_unix_ns, self.processes.get(actor));
        }
        match &event.kind {
            Some(Kind::Fork(fork)) => self.fork(actor, key(fork.child.as_ref()), event.time_unix_ns),
            Some(Kind::Exec(_)) => self.exec(actor, event),
            Some(Kind::Seed(_)) => self.executes(actor, event),
            Some(Kind::Exit(exit)) => self.exit(actor, event.time_unix_ns, exit),
            Some(Kind::Connect(v1::Connect { destination }) | Kind::Send(v1::Send { destination })) => {
                let by = self.processes.by(actor);
                self.network.attempt(destination.as_ref(), actor, by);
            }
            Some(Kind::Dns(dns)) => self.network.dns(dns, actor, self.processes.by(actor)),
            Some(Kind::TlsHello(hello)) => self.network.tls(hello),
            Some(Kind::Socket(act)) => self.socket(actor, act),
            Some(Kind::Open(open)) => self.open(actor, open),
            Some(Kind::Unlink(unlink)) => {
                if let Some(path) = changed_path(unlink.file.as_ref()) {
                    self.files.removed(path, self.processes.by(actor));
                }
            }
            Some(Kind::Rename(rename)) => self.rename(actor, rename),
            Some(Kind::File(act)) => self.file(actor, act),
            // Nothing of these is in the story; they are in the record.
            Some(
                Kind::ExecFailed(_)
                | Kind::CgroupMove(_)
                | Kind::CgroupMake(_)
                | Kind::CgroupRemove(_)
                | Kind::Completeness(_)
                | Kind::StartedOutside(_)
                | Kind::Unix(_)
                | Kind::Target(_)
                | Kind::Kernel(_),
            )
            | None => {}
        }
        if let Some(findings) = self.evidence.get(&event.id) {
            let call = self.processes.get(actor).and_then(Process::call);
            findings.iter().for_each(|finding| self.calls.finding(call, finding));
        }
    }

    /// Number of the call that the newest event of this process belongs to; to be asked right after
    /// [`Self::event`].
    #[must_use]
    pub fn call_of(&self, event: &v1::Event) -> Option<u32> {
        self.call(key(event.process.as_ref().and_then(|process| process.key.as_ref())))
    }

    /// What the run did. `flows` are its bytes by destination.
    #[must_use]
    pub fn finish(self, flows: &[v1::Flow]) -> Activity {
        let Self { knowledge, processes, calls, files, network, tree, directory, .. } = self;
        let tree = tree.unwrap_or_default();
        let (agent, state) =
            calls.agent.as_ref().map(|shape| (shape.known.clone(), shape.state.clone())).unzip();
        let unlisted =
            calls.unlisted + files.unlisted + network.unlisted + processes.unlisted + tree.unlisted;
        let (calls, own_programs, own_processes) = calls.finish();
        let (changes, temporary, sensitive) =
            files.finish(&knowledge.places, directory.as_deref(), state.as_ref());
        let (destinations, lookups, listeners) = network.finish(flows, &processes);
        Activity {
            ended: processes.first_ended.map(|(_, exit)| exit),
            left: left(&processes),
            directory,
            agent,
            calls,
            changes,
            temporary,
            sensitive,
            destinations,
            lookups,
            listeners,
            own_programs,
            own_processes,
            processes: tree.finish(),
            unlisted,
            ..Activity::default()
        }
    }

    /// Number of the call that a process belongs to.
    pub(crate) fn call(&self, actor: Key) -> Option<u32> {
        self.processes.get(actor).and_then(Process::call)
    }

    fn fork(&mut self, actor: Key, child: Key, time_ns: u64) {
        self.processes.fork(actor, child);
        self.calls.fork(self.call(actor));
        if let Some(tree) = &mut self.tree {
            tree.fork(actor, child, time_ns, self.processes.get(child));
        }
    }

    fn executes(&mut self, actor: Key, event: &v1::Event) {
        self.processes.exec(actor, event);
        self.calls.exec(&mut self.processes, actor, event.time_unix_ns, &self.knowledge.shapes);
        if let Some(tree) = &mut self.tree {
            tree.exec(actor, self.processes.get(actor));
        }
    }

    fn exec(&mut self, actor: Key, event: &v1::Event) {
        self.executes(actor, event);
        if self.processes.is_first(actor) && self.directory.is_none() {
            let cwd = event.process.as_ref().and_then(|process| process.cwd.as_ref());
            self.directory = cwd.map(|path| path.text.clone()).filter(|path| path.starts_with('/'));
        }
    }

    fn exit(&mut self, actor: Key, time_ns: u64, exit: &v1::Exit) {
        let exit = Exit { code: exit.code, signal: exit.signal };
        self.calls.exit(self.call(actor), actor, time_ns, exit);
        self.processes.exit(actor, time_ns, exit);
        if let Some(tree) = &mut self.tree {
            tree.exit(actor, time_ns, exit);
        }
    }

    fn socket(&mut self, actor: Key, act: &v1::SocketAct) {
        match (act.act.as_str(), act.error) {
            ("connected", Some(error)) => self.network.failed(act.remote.as_ref(), error),
            ("listen", None) => self.network.listen(act.local.as_ref(), actor, &mut self.processes),
            _ => {}
        }
    }

    fn open(&mut self, actor: Key, open: &v1::Open) {
        let Some(path) = path_of(open.file.as_ref()) else { return };
        let intent = open.intent.unwrap_or_default();
        let writes = intent.write || open.created;
        if intent.path_only {
            return;
        }
        let is_own = path.strip_prefix("/proc/").is_some_and(|rest| {
            rest.starts_with("self/") || rest.split('/').next() == Some(actor.0.to_string().as_str())
        });
        if !is_own {
            let by = || self.processes.by(actor);
            self.files.sensitive(&self.knowledge.sensitive, path, writes, by);
        }
        if !writes {
            if !self.knowledge.places.is_system(path) {
                self.files.read(path);
                self.calls.read(self.call(actor), path);
            }
            return;
        }
        let Some(path) = changed_path(open.file.as_ref()) else { return };
        let by = self.processes.by(actor);
        if open.created {
            self.files.created(path, false, by);
        } else {
            self.files.written(path, by);
        }
    }

    fn rename(&mut self, actor: Key, rename: &v1::Rename) {
        let to = rename.new_path.as_ref().map(|path| path.text.as_str());
        if let (Some(from), Some(to)) = (changed_path(rename.file.as_ref()), to) {
            self.files.renamed(from, to, self.processes.by(actor));
        }
    }

    fn file(&mut self, actor: Key, act: &v1::FileAct) {
        if act.error.is_some() {
            return;
        }
        let by = self.processes.by(actor);
        let path = changed_path(act.file.as_ref());
        let new_path = act.new_path.as_ref().map(|path| path.text.as_str());
        match (act.act.as_str(), path, new_path) {
            ("mkdir", Some(path), _) => self.files.created(path, true, by),
            ("symlink" | "mknod", Some(path), _) => self.files.created(path, false, by),
            ("link", Some(_), Some(to)) => self.files.created(to, false, by),
            ("exchange", Some(one), Some(other)) => {
                self.files.written(one, by.clone());
                self.files.written(other, by);
            }
            ("truncate" | "copy" | "map_write" | "allocate", Some(path), _) => self.files.written(path, by),
            ("chmod", Some(path), _) => {
                self.files.mode(path, u32::try_from(act.detail).unwrap_or(u32::MAX), by);
            }
            _ => {}
        }
    }
}

/// The path of a file whose change a reader wants to know: no device, pipe or memory.
fn changed_path(file: Option<&v1::File>) -> Option<&str> {
    const TYPE: u32 = 0o170_000;
    const KEPT: [u32; 3] = [0o100_000, 0o040_000, 0o120_000];
    let path = path_of(file)?;
    let is_file = file?.key.is_none_or(|key| key.mode & TYPE == 0 || KEPT.contains(&(key.mode & TYPE)));
    let is_in = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    let is_kernels = is_in(&["/dev/", "/proc/", "/sys/", "/memfd:"]) && !is_in(&["/dev/shm/"]);
    let is_named = path.starts_with('/') && !is_kernels;
    (is_file && is_named && !path.ends_with(" (deleted)")).then_some(path)
}

fn left(processes: &Processes) -> Vec<Left> {
    let ended_ns = processes.first_ended.map_or(0, |(time_ns, _)| time_ns);
    let stayed = |outlived: &&Outlived| {
        outlived.ended_ns.is_none_or(|time_ns| time_ns.saturating_sub(ended_ns) >= GRACE_NS)
    };
    let left = |outlived: &Outlived| {
        let living = processes.get(outlived.key);
        let process = living.unwrap_or(&outlived.process);
        Left {
            pid: outlived.key.0,
            command: process.argv.clone(),
            call: process.call(),
            listens: process.listens.clone(),
            is_running: living.is_some(),
        }
    };
    processes.outlived.iter().filter(stayed).map(left).collect()
}
