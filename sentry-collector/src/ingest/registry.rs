//! The connected sensors: one live stream each, the newest wins.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

#[derive(Debug)]
pub(crate) struct Registry {
    live: Mutex<HashMap<String, Live>>,
    /// Sent to when a sensor comes or goes.
    changes: watch::Sender<()>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Live {
    generation: u64,
    replaced: CancellationToken,
    commands: Arc<Notify>,
}

/// A sensor's place in the registry; dropping it frees the place unless a newer stream took it.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: Arc<Registry>,
    sensor: String,
    generation: u64,
    /// Cancelled when a newer stream of the same sensor came.
    pub(crate) replaced: CancellationToken,
    /// Woken when a command for this sensor was stored.
    pub(crate) commands: Arc<Notify>,
}

// === impl Registry ===

impl Registry {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { live: Mutex::default(), changes: watch::Sender::new(()), metrics })
    }

    /// Takes the sensor's place and ends the stream that held it.
    pub(crate) fn seat(self: &Arc<Self>, sensor: &str) -> Seat {
        let replaced = CancellationToken::new();
        let commands = Arc::new(Notify::new());
        let mut live = self.lock();
        let older = live.remove(sensor);
        let generation = older.as_ref().map_or(0, |older| older.generation + 1);
        live.insert(
            sensor.to_owned(),
            Live { generation, replaced: replaced.clone(), commands: Arc::clone(&commands) },
        );
        self.metrics.sensors_connected.store(live.len() as u64, Relaxed);
        drop(live);
        self.changes.send_replace(());
        if let Some(older) = older {
            self.metrics.replaced_streams_total.fetch_add(1, Relaxed);
            older.replaced.cancel();
        }
        Seat { registry: Arc::clone(self), sensor: sensor.to_owned(), generation, replaced, commands }
    }

    /// Wakes the sensor's stream, if there is one, for a waiting command.
    pub(crate) fn notify(&self, sensor: &str) {
        if let Some(live) = self.lock().get(sensor) {
            live.commands.notify_one();
        }
    }

    /// Changes when a sensor comes or goes.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The ids of the connected sensors, sorted.
    pub(crate) fn all(&self) -> Vec<String> {
        let mut all: Vec<String> = self.lock().keys().cloned().collect();
        all.sort_unstable();
        all
    }

    pub(crate) fn connected(&self, sensor: &str) -> bool {
        self.lock().contains_key(sensor)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        // No critical section can panic in the middle, so the map is always consistent.
        self.live.lock()
    }
}

// === impl Seat ===

impl Drop for Seat {
    fn drop(&mut self) {
        let mut live = self.registry.lock();
        if live.get(&self.sensor).is_some_and(|live| live.generation == self.generation) {
            live.remove(&self.sensor);
        }
        self.registry.metrics.sensors_connected.store(live.len() as u64, Relaxed);
        drop(live);
        self.registry.changes.send_replace(());
    }
}
