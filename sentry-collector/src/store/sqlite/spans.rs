//! The places of the events of a stored block: their positions in the feed and their numbers in the
//! store.
//!
//! Every event gets a number when it is stored: 1, 2, 3, …, each given out once. Listings are
//! ordered by these numbers and cursors refer to them, so merging blocks changes neither.
//!
//! Format: LEB128 integers. First how many events at the beginning of the block do not count,
//! because they were stored before; then for each span the numbers omitted before it, the positions
//! omitted before it, and its length.

/// Largest distance between numbers of one block. A reader that looks for a number can skip all
/// blocks that begin or end further away. It also bounds how many events are open at once, because
/// blocks of several runs whose events came in turn overlap.
pub(super) const WINDOW: u64 = 1 << 14;

/// Events that are consecutive both in the feed and in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) number: u64,
    pub(super) position: u64,
    pub(super) count: u64,
}

/// One event of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) in_body: usize,
    pub(super) number: u64,
    pub(super) position: u64,
}

/// All spans of a block, in order; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    skipped: u64,
    spans: Vec<Span>,
}

// === impl Spans ===

impl Spans {
    /// The spans of a block in which all but the first `skipped` events count.
    pub(super) fn of(skipped: u64, span: Span) -> Self {
        Self { skipped, spans: vec![span] }
    }

    /// Adds an event after the others.
    pub(super) fn push(&mut self, number: u64, position: u64) {
        if let Some(last) = self.spans.last_mut()
            && last.number + last.count == number
            && last.position + last.count == position
        {
            last.count += 1;
        } else {
            self.spans.push(Span { number, position, count: 1 });
        }
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Events that count.
    pub(super) fn events(&self) -> u64 {
        self.spans.iter().map(|span| span.count).sum()
    }

    /// Events in the body.
    pub(super) fn in_body(&self) -> u64 {
        self.skipped + self.events()
    }

    /// First and last number.
    pub(super) fn numbers(&self) -> (u64, u64) {
        let last = self.spans.last().map_or(0, |span| span.number + span.count - 1);
        (self.spans.first().map_or(0, |span| span.number), last)
    }

    /// First and last position.
    pub(super) fn positions(&self) -> (u64, u64) {
        let last = self.spans.last().map_or(0, |span| span.position + span.count - 1);
        (self.spans.first().map_or(0, |span| span.position), last)
    }

    /// Each event that counts, in order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let each = |span: &Span| {
            let Span { number, position, count } = *span;
            (0..count).map(move |n| (number + n, position + n))
        };
        (self.skipped as usize..)
            .zip(self.spans.iter().flat_map(each))
            .map(|(in_body, (number, position))| Place { in_body, number, position })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16);
        let (mut number, mut position) = (0, 0);
        put(&mut bytes, self.skipped);
        for span in &self.spans {
            put(&mut bytes, span.number - number);
            put(&mut bytes, span.position - position);
            put(&mut bytes, span.count);
            (number, position) = (span.number + span.count, span.position + span.count);
        }
        bytes
    }

    /// `None` for bytes that are not in this format.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let skipped = take(&mut bytes)?;
        let (mut number, mut position, mut events) = (0_u64, 0_u64, 0_u64);
        let mut spans = Vec::new();
        while !bytes.is_empty() {
            let count;
            (number, position, count) = (
                number.checked_add(take(&mut bytes)?)?,
                position.checked_add(take(&mut bytes)?)?,
                take(&mut bytes)?,
            );
            events = events.checked_add(count)?;
            if count == 0 || events > WINDOW || skipped > WINDOW {
                return None;
            }
            spans.push(Span { number, position, count });
            (number, position) = (number.checked_add(count)?, position.checked_add(count)?);
        }
        (!spans.is_empty()).then_some(Self { skipped, spans })
    }
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    prost::encoding::encode_varint(number, bytes);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(bytes).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans() -> impl Strategy<Value = Spans> {
        (0_u64..9, prop::collection::vec((0_u64..5, 0_u64..5, 1_u64..9), 1..20)).prop_map(
            |(skipped, steps)| {
                let (mut number, mut position) = (7, 3);
                let mut made = None;
                for (numbers, positions, count) in steps {
                    let span = Span { number: number + numbers, position: position + positions, count };
                    (number, position) = (span.number + count, span.position + count);
                    match &mut made {
                        None => made = Some(Spans::of(skipped, span)),
                        Some(spans) => spans.spans.push(span),
                    }
                }
                made.unwrap()
            },
        )
    }

    #[test]
    fn what_follows_is_one_span() {
        let mut spans = Spans::of(2, Span { number: 5, position: 9, count: 1 });
        spans.push(6, 10);
        spans.push(8, 11);
        assert_eq!(spans.spans.len(), 2);
        assert_eq!((spans.numbers(), spans.positions()), ((5, 8), (9, 11)));
        let places = [(2, 5, 9), (3, 6, 10), (4, 8, 11)];
        let places = places.map(|(in_body, number, position)| Place { in_body, number, position });
        assert_eq!(spans.places().collect::<Vec<_>>(), places);
        assert_eq!((spans.events(), spans.in_body()), (3, 5));
    }

    proptest! {
        #[test]
        fn encoding_loses_nothing(spans in spans()) {
            prop_assert_eq!(Spans::decode(&spans.encode()), Some(spans));
        }

        #[test]
        fn any_bytes_are_spans_or_none(bytes: Vec<u8>) {
            if let Some(spans) = Spans::decode(&bytes) {
                prop_assert!(spans.places().count() as u64 <= WINDOW);
            }
        }
    }
}
