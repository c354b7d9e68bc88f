//! A look at all cgroups and processes: selected ones that are not watched yet, and agents that
//! nobody selected.

use super::*;
use crate::{
    runs::DISCOVERED,
    select::{Selector, known},
};

impl Turn {
    /// Watches what is selected and not watched; looks for agents that nobody selected.
    pub(super) fn scan(&mut self) {
        let mut selectors = self.selection.agents.iter().flat_map(|agent| &agent.selectors);
        let by_executions = selectors.any(Selector::is_about_executions);
        if self.selection.is_empty() && self.discover == Discover::Off {
            return self.stage.selecting.unwatched.lock().clear();
        }
        let mount = self.stage.registry.cgroup_mount().to_owned();
        let mut watched = self.stage.registry.watched_cgroups();
        let mut ids = HashMap::new();
        for (id, below) in tree::groups(&mount) {
            // Below a watched one it is the same run's.
            let inherited =
                below.parent().and_then(|parent| ids.get(parent)).is_some_and(|id| watched.contains(id));
            if inherited {
                watched.insert(id);
            }
            ids.insert(below.clone(), id);
            if watched.contains(&id) || self.refused.contains(&id) || self.selection.is_empty() {
                continue;
            }
            let mut facts = self.facts(&below);
            facts.complete = true;
            let decision = self.selection.decide(&path_of(&below), None, &facts);
            if let Decision::Selected { agent, why } = decision
                && self.tag(
                    id,
                    &below,
                    Start { name: agent, mode: Mode::Observe, uid: 0, command: Vec::new(), selected_by: why },
                )
            {
                watched.insert(id);
            }
        }
        let there: HashSet<u64> = ids.values().copied().collect();
        self.refused.retain(|id| there.contains(id));
        if by_executions || self.discover != Discover::Off {
            self.processes(&ids, watched);
        }
        self.scanned = true;
    }

    fn processes(&mut self, ids: &HashMap<PathBuf, u64>, mut watched: HashSet<u64>) {
        let mut unwatched = Vec::new();
        for process in tree::processes() {
            let id = ids.get(&process.cgroup).copied();
            let is_watched = id.is_some_and(|id| watched.contains(&id));
            if is_watched || self.stage.registry.of_process(process.key.tgid).is_some() {
                continue;
            }
            let start = self.start_of_running(&process);
            if let (Some(start), Some(id)) = (start, id)
                && self.tag(id, &process.cgroup, start)
            {
                watched.insert(id);
                continue;
            }
            if self.discover == Discover::Off {
                continue;
            }
            let executable = process.executable.as_ref().map(|path| path.to_string_lossy().into_owned());
            let executable = executable.or_else(|| process.argv.first().cloned()).unwrap_or_default();
            if let Some(agent) = known::agent(&executable, &process.argv) {
                if self.discover == Discover::Tag
                    && let Some(id) = id
                {
                    let start = Start {
                        name: agent.into(),
                        mode: Mode::Observe,
                        uid: 0,
                        command: process.argv.clone(),
                        selected_by: format!("{DISCOVERED}{executable} is known as {agent}"),
                    };
                    if self.tag(id, &process.cgroup, start) {
                        watched.insert(id);
                        continue;
                    }
                }
                unwatched.push(Unwatched {
                    agent: agent.into(),
                    pid: process.key.tgid,
                    uid: process.uid,
                    cgroup: path_of(&process.cgroup),
                });
            }
        }
        *self.stage.selecting.unwatched.lock() = unwatched;
    }

    /// The run that a process makes of its cgroup, by selectors of what is executed.
    fn start_of_running(&mut self, process: &tree::Running) -> Option<Start> {
        let executed = process.as_executed();
        let mut facts = self.facts(&process.cgroup);
        facts.complete = true;
        let path = path_of(&process.cgroup);
        let selection = Arc::clone(&self.selection);
        match decide_execution(&selection, &path, &executed, &facts, &mut self.readers) {
            Decision::Selected { agent, why } => Some(Start {
                name: agent,
                mode: Mode::Observe,
                uid: 0,
                command: process.argv.clone(),
                selected_by: why,
            }),
            Decision::Unselected | Decision::Later => None,
        }
    }

    /// Watches a cgroup from now on: what has happened in it was not seen. One that is refused is
    /// not tried again.
    pub(super) fn tag(&mut self, id: u64, below: &Path, start: Start) -> bool {
        if self.refused.contains(&id) || !self.stage.registry.has_room() {
            return false;
        }
        match self.stage.registry.tag(below, start) {
            Ok(run) => {
                // Except those that were there before the sensor.
                self.stage.selecting.late.fetch_add(u64::from(self.scanned), Ordering::Relaxed);
                self.note(&run);
                true
            }
            // A question about it has just been decided, or it went away.
            Err(error) if error.is_gone() || matches!(error, RunError::Tagged { .. }) => false,
            Err(error) => {
                self.not_watched(below, &error);
                self.refused.insert(id);
                false
            }
        }
    }
}
