//! Tests only: a store for one test, written as by the writer and read as by readers.

use std::path::PathBuf;

use rusqlite::{Connection, params};
use sentry_proto::{
    block::Packer,
    v1::{self, event::Kind},
};

use super::{
    blocks::Owner,
    events::{self, Page},
    intake::Intake,
    legacy,
    pool::Failed,
    schema,
};
use crate::{
    feed::block::Block,
    store::page::{Condition, Paging, Query},
};

pub(super) const OWNER: Owner = Owner { feed: 1, sensor: 1, session: 1 };

pub(super) struct Scratch {
    _dir: tempfile::TempDir,
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) packer: Packer,
}

/// Event `n` of a run: an exec where `n` is even, else a connect, at `n` ms.
pub(super) fn event(run: &str, n: u64) -> v1::Event {
    let kind = if n.is_multiple_of(2) {
        Kind::Exec(v1::Exec::default())
    } else {
        Kind::Connect(v1::Connect::default())
    };
    v1::Event {
        id: format!("{run}-e-{n}"),
        run: run.to_owned(),
        agent: Some(v1::Agent { id: "a".to_owned(), name: "A".to_owned() }),
        sequence: n,
        time_unix_ns: n * 1_000_000,
        process: Some(v1::Process { key: Some(v1::ProcessKey::default()), ..v1::Process::default() }),
        kind: Some(kind),
        ..v1::Event::default()
    }
}

impl Scratch {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let (connection, packer) = legacy::open(&path).unwrap();
        connection
            .execute_batch(
                "INSERT INTO sensors (id, sensor, session, first_seen_ms, last_seen_ms) VALUES (1, 's1', 1, \
                0, 0);
                 INSERT INTO feeds (id, sensor, epoch, acked, began_ms) VALUES (1, 1, 'e1', 0, 0);
                 INSERT INTO sessions (id, feed, host, version, boot_id, tier, limits, began_ms)
                 VALUES (1, 1, 'h', '1', 'b', 'C', '[]', 0)",
            )
            .unwrap();
        Self { _dir: dir, path, connection, packer }
    }

    /// Stores single events in one commit.
    pub(super) fn put(&mut self, events: &[(u64, v1::Event)]) {
        let tx = self.connection.transaction().unwrap();
        let mut intake = Intake::begin(&tx, &mut self.packer).unwrap();
        for (position, event) in events {
            intake.event(OWNER, *position, event).unwrap();
        }
        intake.finish().unwrap();
        tx.commit().unwrap();
    }

    /// Stores a received block.
    pub(super) fn put_block(&mut self, first: u64, events: &[v1::Event]) {
        let packed = self.packer.pack(events).unwrap();
        let mut room = usize::MAX;
        let block = Block::check(packed.block.unwrap(), &mut room).unwrap();
        let tx = self.connection.transaction().unwrap();
        let mut intake = Intake::begin(&tx, &mut self.packer).unwrap();
        intake.block(OWNER, &block, first, first).unwrap();
        intake.finish().unwrap();
        tx.commit().unwrap();
    }

    /// Ids of the events of a page, and its result.
    pub(super) fn page(
        &self,
        conditions: Vec<Condition>,
        paging: Paging,
    ) -> Result<(Vec<String>, Page), Failed> {
        let reader = schema::open_reader(&self.path).unwrap();
        let mut ids = Vec::new();
        let page = events::page(&reader, &Query { conditions, paging }, |_, event| {
            ids.push(event.id);
            0
        })?;
        Ok((ids, page))
    }

    /// Ids of all events, in pages of `limit`.
    pub(super) fn walk(&self, newest_first: bool, limit: usize) -> Vec<String> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let (more, page) = self.page(Vec::new(), Paging { after, newest_first, limit }).unwrap();
            ids.extend(more);
            after = page.next;
            if after.is_none() {
                return ids;
            }
        }
    }

    pub(super) fn count(&self, sql: &str) -> i64 {
        self.connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Damages the body of the block with this id.
    pub(super) fn damage(&self, id: i64) {
        let changed = self.connection.execute(
            "UPDATE bodies SET body = CAST(substr(body, 1, 40) || x'00ff00' || substr(body, 44) AS BLOB) \
            WHERE id = ?1",
            params![id],
        );
        assert_eq!(changed, Ok(1));
    }
}
