//! The processes of a run as a tree.

use std::collections::HashMap;

use sentry_view::{Exact, Exit, ProcessRow, time};

use crate::process::{Key, Process};

/// Processes that are listed.
const NODES: usize = 100_000;
/// Bytes of a command that are kept.
const COMMAND_BYTES: usize = 4 << 10;

/// Gathers the tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// The newest node of each process.
    places: HashMap<Key, usize>,
    pub(crate) unlisted: u64,
}

#[derive(Debug)]
struct Node {
    row: ProcessRow,
    children: Vec<usize>,
    is_root: bool,
}

impl Tree {
    /// The process is there, whoever made it.
    pub(crate) fn seen(&mut self, key: Key, time_ns: u64, process: Option<&Process>) {
        if !self.places.contains_key(&key) {
            self.add(key, None, time_ns, process);
        }
    }

    pub(crate) fn fork(&mut self, parent: Key, child: Key, time_ns: u64, process: Option<&Process>) {
        let parent = self.places.get(&parent).copied();
        self.add(child, parent, time_ns, process);
    }

    pub(crate) fn exec(&mut self, key: Key, process: Option<&Process>) {
        let row = self.places.get(&key).and_then(|&at| self.nodes.get_mut(at)).map(|node| &mut node.row);
        if let (Some(row), Some(process)) = (row, process) {
            row.executions += 1;
            is_now(row, process);
        }
    }

    pub(crate) fn exit(&mut self, key: Key, time_ns: u64, exit: Exit) {
        if let Some(node) = self.places.get(&key).and_then(|&at| self.nodes.get_mut(at)) {
            node.row.exit = Some(exit);
            node.row.lasted_ns = Some(Exact(time_ns.saturating_sub(node.row.started_unix_ns.0)));
        }
    }

    /// Rows in the order of a walk from the roots, each before its children.
    pub(crate) fn finish(self) -> Vec<ProcessRow> {
        let mut nodes: Vec<Option<Node>> = self.nodes.into_iter().map(Some).collect();
        let roots: Vec<usize> =
            (0..nodes.len()).filter(|&at| nodes[at].as_ref().is_some_and(|node| node.is_root)).collect();
        let mut rows = Vec::with_capacity(nodes.len());
        // A walk without recursion: a run can fork in a chain as long as it likes.
        let mut waiting: Vec<(usize, u32)> = roots.into_iter().rev().map(|at| (at, 0)).collect();
        while let Some((at, depth)) = waiting.pop() {
            let Some(node) = nodes.get_mut(at).and_then(Option::take) else { continue };
            waiting.extend(node.children.iter().rev().map(|&child| (child, depth + 1)));
            rows.push(ProcessRow { depth, ..node.row });
        }
        rows
    }

    fn add(&mut self, key: Key, parent: Option<usize>, time_ns: u64, process: Option<&Process>) {
        if self.nodes.len() >= NODES {
            self.unlisted += 1;
            return;
        }
        let mut row = ProcessRow {
            pid: key.0,
            started: time::rfc3339(time_ns),
            started_unix_ns: Exact(time_ns),
            ..ProcessRow::default()
        };
        if let Some(process) = process {
            is_now(&mut row, process);
        }
        let at = self.nodes.len();
        self.nodes.push(Node { row, children: Vec::new(), is_root: parent.is_none() });
        self.places.insert(key, at);
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.push(at);
        }
    }
}

fn is_now(row: &mut ProcessRow, process: &Process) {
    row.program.clone_from(&process.program);
    row.call = process.call();
    let mut room = COMMAND_BYTES;
    row.command = process
        .argv
        .iter()
        .map_while(|argument| {
            let kept = argument.floor_char_boundary(room);
            room -= kept;
            (kept == argument.len() || kept > 0).then(|| argument[..kept].to_owned())
        })
        .collect();
}
