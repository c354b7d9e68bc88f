//! What a run exchanged with whom.

use std::collections::HashMap;

use sentry_common::table::{Flow, FlowKey};
use sentry_proto::v1;

use super::{Registry, Run};
use crate::enrich::event;

/// Rows kept for one run; the rest is one row without a remote side.
const ROWS: usize = 200;

impl Registry {
    /// Reads what the run exchanged into its state, for a report while it lives.
    pub fn read_flows(&self, run: &Run) {
        let rows = self.tables().programs.flows(run.tag);
        run.state().flows = of_kernel(rows);
    }
}

/// The kernel's rows, the largest first.
pub(super) fn of_kernel(rows: Vec<(FlowKey, Flow)>) -> Vec<v1::Flow> {
    sum(rows.into_iter().map(|(key, flow)| v1::Flow {
        remote: Some(event::of_flow(&key)),
        packets_out: flow.packets_out,
        bytes_out: flow.bytes_out,
        packets_in: flow.packets_in,
        bytes_in: flow.bytes_in,
    }))
}

/// One row per other side.
pub(super) fn sum(flows: impl Iterator<Item = v1::Flow>) -> Vec<v1::Flow> {
    let mut by_side: HashMap<Option<(Vec<u8>, u32, u32)>, v1::Flow> = HashMap::new();
    for flow in flows {
        let side = flow.remote.as_ref().map(|remote| (remote.address.clone(), remote.port, remote.protocol));
        add(
            by_side
                .entry(side)
                .or_insert_with(|| v1::Flow { remote: flow.remote.clone(), ..v1::Flow::default() }),
            &flow,
        );
    }
    let mut others = by_side.remove(&None).unwrap_or_default();
    let mut rows: Vec<v1::Flow> = by_side.into_values().collect();
    let side = |flow: &v1::Flow| flow.remote.as_ref().map(|remote| (remote.address.clone(), remote.port));
    rows.sort_by(|a, b| bytes(b).cmp(&bytes(a)).then_with(|| side(a).cmp(&side(b))));
    for rest in rows.split_off(rows.len().min(ROWS)) {
        add(&mut others, &rest);
    }
    if others != v1::Flow::default() {
        rows.push(others);
    }
    rows
}

fn bytes(flow: &v1::Flow) -> u64 {
    flow.bytes_out + flow.bytes_in
}

fn add(to: &mut v1::Flow, flow: &v1::Flow) {
    to.packets_out += flow.packets_out;
    to.bytes_out += flow.bytes_out;
    to.packets_in += flow.packets_in;
    to.bytes_in += flow.bytes_in;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u32, bytes_out: u64) -> v1::Flow {
        let remote = v1::Endpoint { address: vec![192, 0, 2, 1], port, protocol: 6 };
        v1::Flow { remote: Some(remote), packets_out: 1, bytes_out, ..v1::Flow::default() }
    }

    #[test]
    fn the_same_side_is_one_row_and_the_largest_is_first() {
        let rows = sum([flow(80, 5), flow(443, 7), flow(80, 6)].into_iter());
        assert_eq!(rows, [v1::Flow { packets_out: 2, ..flow(80, 11) }, flow(443, 7)]);
    }

    #[test]
    fn nothing_of_the_rest_is_lost_in_the_sums() {
        let once = sum((0..1000).map(|port| flow(port, 1)));
        assert_eq!(once.len(), ROWS + 1);
        // The row of the rest stays one when lives of the sensor are added.
        let twice = sum(once.iter().cloned().chain((0..1000).map(|port| flow(port, 1))));
        assert_eq!(twice.iter().map(|row| row.bytes_out).sum::<u64>(), 2000);
        assert_eq!(twice.iter().filter(|row| row.remote.is_none()).count(), 1);
    }
}
