//! The bounded local store and spool. (NOTE to whoever implements this: stage/, control/ and app/ already use exactly
//! this API on the clonable handle; please provide it.)
//!
//! ```ignore
//! pub struct Query { pub run: Option<String>, pub agent: Option<String>, pub kinds: Vec<i32> /* v1::ItemKind, empty = all */,
//!                    pub after: u64 /* only seq > after */, pub newest: Option<u64> /* only the newest n */ } // Clone + Default
//! #[derive(Clone)] pub struct JournalHandle;
//! impl JournalHandle {
//!     pub fn append(&self, items: Vec<v1::Item>);               // blocking, bounded queue, order kept, never fails (losses are counted inside)
//!     pub async fn flush(&self);                                // everything appended before is committed (or counted lost)
//!     pub fn committed(&self) -> tokio::sync::watch::Receiver<u64>; // last committed seq
//!     pub fn runs(&self) -> Result<Vec<v1::Run>, JournalError>; // newest state of each stored run; blocking
//!     pub fn page(&self, query: &Query, limit: u64) -> Result<Vec<(u64, v1::Item)>, JournalError>; // oldest first; blocking
//!     pub fn each(&self, query: &Query, visit: impl FnMut(u64, v1::Item)) -> Result<(), JournalError>; // blocking, bounded memory
//!     pub fn position(&self) -> Position;                       // Position { epoch: String, last: u64, acked: u64, waiting_items: u64 }
//!     pub fn dropped(&self) -> u64;                             // items lost by this stage so far (disk full, spool full)
//! }
//! pub struct Journal; // the writer thread; Journal::open(dir: &Path, Limits { spool_bytes, keep_bytes }) -> Result<(Journal, JournalHandle), JournalError>
//! impl Journal { pub fn close(self); } // writes what is queued, then ends
//! ```
