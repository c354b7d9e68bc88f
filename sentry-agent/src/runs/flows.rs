//! Packets and bytes that a run exchanged, by the other side.

use std::collections::HashMap;

use sentry_common::table::{self, FlowKey};
use sentry_detect::event::Endpoint;

use crate::enrich::object;

/// Rows kept for one run; the rest is one row without a remote side.
const ROWS: usize = 200;

/// What went to and came from one other side, or all the rest together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) remote: Option<Endpoint>,
    pub(super) packets_out: u64,
    pub(super) bytes_out: u64,
    pub(super) packets_in: u64,
    pub(super) bytes_in: u64,
}

/// The kernel's rows, the largest first.
pub(super) fn of_kernel(rows: Vec<(FlowKey, table::Flow)>) -> Vec<Flow> {
    sum(rows.into_iter().map(|(key, flow)| Flow {
        remote: Some(object::of_flow(&key)),
        packets_out: flow.packets_out,
        bytes_out: flow.bytes_out,
        packets_in: flow.packets_in,
        bytes_in: flow.bytes_in,
    }))
}

/// One row per other side.
pub(super) fn sum(flows: impl Iterator<Item = Flow>) -> Vec<Flow> {
    let side = |flow: &Flow| flow.remote.map(|remote| (remote.address, remote.port, remote.protocol));
    let mut by_side: HashMap<_, Flow> = HashMap::new();
    for flow in flows {
        let empty = || Flow { remote: flow.remote, ..Flow::default() };
        add(by_side.entry(side(&flow)).or_insert_with(empty), &flow);
    }
    let mut others = by_side.remove(&None).unwrap_or_default();
    let mut rows: Vec<Flow> = by_side.into_values().collect();
    rows.sort_by(|a, b| bytes(b).cmp(&bytes(a)).then_with(|| side(a).cmp(&side(b))));
    for rest in rows.split_off(rows.len().min(ROWS)) {
        add(&mut others, &rest);
    }
    if others != Flow::default() {
        rows.push(others);
    }
    rows
}

fn bytes(flow: &Flow) -> u64 {
    flow.bytes_out + flow.bytes_in
}

fn add(to: &mut Flow, flow: &Flow) {
    to.packets_out += flow.packets_out;
    to.bytes_out += flow.bytes_out;
    to.packets_in += flow.packets_in;
    to.bytes_in += flow.bytes_in;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16, bytes_out: u64) -> Flow {
        let remote = Endpoint { address: [192, 0, 2, 1].into(), port, protocol: 6 };
        Flow { remote: Some(remote), packets_out: 1, bytes_out, ..Flow::default() }
    }

    #[test]
    fn the_same_side_is_one_row_and_the_largest_is_first() {
        let rows = sum([flow(80, 5), flow(443, 7), flow(80, 6)].into_iter());
        assert_eq!(rows, [Flow { packets_out: 2, ..flow(80, 11) }, flow(443, 7)]);
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
