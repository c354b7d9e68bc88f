//! The stages of a program: named threads and tasks that run until the program ends.
//!
//! A stage that ends before it was asked to, by a panic, an error or an early return, is a fault at
//! once ([`Stages::fault`]). Side tasks ([`Stages::sides`]) serve one caller each; they come and
//! go.
//!
//! [`Stages::drain`] ends all of them within a bound: first the side tasks, then the stages in the
//! order in which they were started, each asked to stop once the one before it has ended. When the
//! bound is over, all that are left are asked at once; those that still run are named and left.

use std::{collections::HashMap, error::Error, future::Future, io, pin::Pin, thread, time::Duration};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::{Id, JoinSet},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What a stage did that it must not.
#[derive(Debug, thiserror::Error)]
pub enum Fault<E: Error + 'static> {
    #[error("stage {stage} failed")]
    Failed { stage: &'static str, source: E },
    #[error("stage {stage} panicked")]
    Panicked { stage: &'static str },
    #[error("stage {stage} ended although nobody asked it to")]
    Ended { stage: &'static str },
    #[error("stage {stage} did not end within {} s; it was left", within.as_secs())]
    Stuck { stage: &'static str, within: Duration },
}

/// How long a drain may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For the side tasks; a part of `all`.
    pub sides: Duration,
    /// For all of it.
    pub all: Duration,
    /// On top, once every stage was asked.
    pub last: Duration,
}

/// The running stages; `E` is how one fails.
#[derive(Debug)]
pub struct Stages<E: Error + Send + 'static> {
    running: JoinSet<End<E>>,
    names: HashMap<Id, &'static str>,
    /// In the order in which they were started.
    order: Vec<Stage>,
    sides: TaskTracker,
}

struct Stage {
    id: Id,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

#[derive(Debug)]
enum End<E> {
    Well,
    Failed(E),
    Panicked,
}

// === impl Stages ===

impl<E: Error + Send + 'static> Default for Stages<E> {
    fn default() -> Self {
        Self { running: JoinSet::new(), names: HashMap::new(), order: Vec::new(), sides: TaskTracker::new() }
    }
}

impl<E: Error + Send + 'static> Stages<E> {
    /// Starts a stage that is a task. `stop` asks it to end.
    pub fn task(
        &mut self,
        name: &'static str,
        stop: impl Future<Output = ()> + Send + 'static,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let work = async { work.await.map_or_else(End::Failed, |()| End::Well) };
        let id = self.running.spawn(work).id();
        self.names.insert(id, name);
        self.order.push(Stage { id, stop: Box::pin(stop) });
    }

    /// Starts a stage that is a task without an end of its own: asked to stop, it is dropped where
    /// it waits.
    pub fn endless(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let token = CancellationToken::new();
        self.task(name, cancel(&token), async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = work => {}
            }
            Ok(())
        });
    }

    /// Starts a stage that is a thread of this name. It may block, and it belongs to this runtime.
    ///
    /// # Errors
    /// Where the thread cannot be made.
    pub fn thread(
        &mut self,
        name: &'static str,
        stop: impl Future<Output = ()> + Send + 'static,
        work: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) -> io::Result<()> {
        let (said, heard) = oneshot::channel();
        let runtime = Handle::current();
        thread::Builder::new().name(name.into()).spawn(move || {
            let _entered = runtime.enter();
            // Nobody hears of a stage that was left.
            said.send(work()).ok();
        })?;
        // A thread that panics says nothing.
        let ended = async {
            match heard.await {
                Ok(ended) => ended.map_or_else(End::Failed, |()| End::Well),
                Err(_silent) => End::Panicked,
            }
        };
        let id = self.running.spawn(ended).id();
        self.names.insert(id, name);
        self.order.push(Stage { id, stop: Box::pin(stop) });
        Ok(())
    }

    /// Where side tasks are started.
    #[must_use]
    pub fn sides(&self) -> TaskTracker {
        self.sides.clone()
    }

    /// Waits for the first stage that ends although nobody asked it to.
    pub async fn fault(&mut self) -> Fault<E> {
        match self.next().await {
            Some((stage, end)) => of(stage, end).unwrap_or(Fault::Ended { stage }),
            None => std::future::pending().await,
        }
    }

    /// Ends everything within the bounds. `give_up` is called once `all` is over: whoever tries
    /// something again and again has to stop trying.
    ///
    /// # Errors
    /// The first stage that failed, or the first that did not end.
    pub async fn drain(mut self, bounds: Bounds, give_up: impl FnOnce()) -> Result<(), Fault<E>> {
        let begin = Instant::now();
        let end = begin + bounds.all;
        let mut failed = None;
        self.sides.close();
        let sides = begin + bounds.sides.min(bounds.all);
        if timeout_at(sides, self.sides.wait()).await.is_err() {
            tracing::warn!(tasks = self.sides.len(), "side tasks did not end in time");
        }
        for Stage { id, stop } in std::mem::take(&mut self.order) {
            // A future is polled once even if it is late: everybody is asked.
            if timeout_at(end, stop).await.is_err() {
                tracing::debug!(stage = self.names.get(&id), "stage could not be asked in time");
            }
            while self.names.contains_key(&id) {
                match timeout_at(end, self.next()).await {
                    Ok(Some((stage, end))) => failed = failed.or(of(stage, end)),
                    Ok(None) | Err(_) => break,
                }
            }
        }
        if !self.names.is_empty() {
            give_up();
            while let Ok(Some((stage, end))) = timeout_at(end + bounds.last, self.next()).await {
                failed = failed.or(of(stage, end));
            }
        }
        let mut left: Vec<_> = self.names.values().copied().collect();
        left.sort_unstable();
        for stage in &left {
            tracing::error!(stage, "stage did not end in time; it is left");
        }
        // Nothing waits for it any more; a task ends with the runtime, a thread with the process.
        self.running.detach_all();
        let stuck = left.first().map(|stage| Fault::Stuck { stage, within: bounds.all });
        failed.or(stuck).map_or(Ok(()), Err)
    }

    /// The next stage that ends, and how.
    async fn next(&mut self) -> Option<(&'static str, End<E>)> {
        let (id, end) = match self.running.join_next_with_id().await? {
            Ok((id, end)) => (id, end),
            Err(error) => (error.id(), End::Panicked),
        };
        Some((self.names.remove(&id).unwrap_or("unknown"), end))
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("id", &self.id).finish_non_exhaustive()
    }
}

fn of<E: Error>(stage: &'static str, end: End<E>) -> Option<Fault<E>> {
    match end {
        End::Well => None,
        End::Failed(source) => Some(Fault::Failed { stage, source }),
        End::Panicked => Some(Fault::Panicked { stage }),
    }
}

/// A stop that cancels a token.
pub fn cancel(token: &CancellationToken) -> impl Future<Output = ()> + Send + 'static {
    let token = token.clone();
    async move { token.cancel() }
}

#[cfg(test)]
mod tests;
