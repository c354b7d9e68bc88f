//! Every way to change a finished ledger that can be enumerated.

use super::{super::verify::Proof, Files, filled};

/// Puts lines back into segments of the same sizes in lines, so that only the lines differ.
fn with_lines(files: &Files, lines: &[Vec<u8>]) -> Files {
    let counts = files.segments.iter().map(|(_, bytes)| bytes.iter().filter(|byte| **byte == b'\n').count());
    let mut rest = lines;
    let mut segments = Vec::new();
    for ((name, _), count) in files.segments.iter().zip(counts) {
        let last = segments.len() + 1 == files.segments.len();
        let (here, behind) = rest.split_at(if last { rest.len() } else { count.min(rest.len()) });
        segments.push((name.clone(), here.concat()));
        rest = behind;
    }
    Files { segments, head: files.head.clone(), public: files.public.clone() }
}

#[test]
fn every_single_byte_flip_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let files = filled(dir.path(), 1_000, 64 << 10);
    assert_eq!(files.verify().unwrap().entries, 1_000);
    let mut proof = Proof::new(&files.head, &files.public).unwrap();
    let mut flips = 0_u64;
    for (name, bytes) in &files.segments {
        let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        for (index, line) in lines.iter().enumerate() {
            // A flipped newline joins two lines, so the next one stands behind. What is before was
            // proven already and what comes after cannot heal it: the walk ends at the first flaw.
            let mut changed = line.to_vec();
            changed.extend_from_slice(lines.get(index + 1).copied().unwrap_or_default());
            for at in 0..line.len() {
                let mask = 1 << (at % 8);
                changed[at] ^= mask;
                assert!(
                    proof
                        .clone()
                        .chain
                        .lines(name, &mut changed.as_slice(), super::super::verify::Tail::Whole, |_| {})
                        .is_err(),
                    "{name} line {} byte {at}",
                    index + 1
                );
                changed[at] ^= mask;
                flips += 1;
            }
            proof.chain.lines(name, &mut &**line, super::super::verify::Tail::Whole, |_| {}).unwrap();
        }
    }
    assert_eq!(proof.chain.seq, 1_000);
    assert!(flips > 400_000, "{flips}");
}

#[test]
fn every_flip_of_head_and_public_key_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = filled(dir.path(), 3, 64 << 10);
    for at in 0..files.head.len() {
        for bit in 0..8 {
            files.head[at] ^= 1 << bit;
            assert!(files.verify().is_err(), "HEAD byte {at} bit {bit}");
            files.head[at] ^= 1 << bit;
        }
    }
    for at in 0..files.public.len() {
        for bit in 0..8 {
            files.public[at] ^= 1 << bit;
            assert!(files.verify().is_err(), "ledger.pub byte {at} bit {bit}");
            files.public[at] ^= 1 << bit;
        }
    }
    files.verify().unwrap();
}

#[test]
fn every_deletion_swap_and_duplication_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let files = filled(dir.path(), 120, 8 << 10);
    assert!(files.segments.len() > 3);
    let lines = files.lines();
    with_lines(&files, &lines).verify().unwrap();
    for at in 0..lines.len() {
        let mut changed = lines.clone();
        changed.remove(at);
        assert!(with_lines(&files, &changed).verify().is_err(), "line {at} deleted");
        changed.clone_from(&lines);
        changed.insert(at, lines[at].clone());
        assert!(with_lines(&files, &changed).verify().is_err(), "line {at} twice");
        changed.clone_from(&lines);
        changed.push(lines[at].clone());
        assert!(with_lines(&files, &changed).verify().is_err(), "line {at} again at the end");
        if at + 1 < lines.len() {
            changed.clone_from(&lines);
            changed.swap(at, at + 1);
            assert!(with_lines(&files, &changed).verify().is_err(), "lines {at} and the next swapped");
        }
    }
}

#[test]
fn every_splice_from_another_ledger_is_found() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = filled(dir.path(), 60, 8 << 10);
    let foreign = filled(other.path(), 60, 8 << 10);
    let (lines, others) = (files.lines(), foreign.lines());
    for at in 0..lines.len() {
        let mut changed = lines.clone();
        changed[at].clone_from(&others[at]);
        assert!(with_lines(&files, &changed).verify().is_err(), "line {at} replaced");
        changed.clone_from(&lines);
        changed.insert(at, others[at].clone());
        assert!(with_lines(&files, &changed).verify().is_err(), "line {at} inserted");
        let tail: Vec<_> = lines[..at].iter().chain(&others[at..]).cloned().collect();
        assert!(with_lines(&files, &tail).verify().is_err(), "from line {at} on the other's");
    }
    let swapped_head =
        Files { segments: files.segments.clone(), head: foreign.head, public: files.public.clone() };
    assert!(swapped_head.verify().is_err());
    let swapped_segments = Files { segments: foreign.segments, head: files.head, public: files.public };
    assert!(swapped_segments.verify().is_err());
}

#[test]
fn every_truncation_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = filled(dir.path(), 16, 2 << 10);
    while let Some((name, mut bytes)) = files.segments.pop() {
        // Each shorter length, down to the empty file; then the file itself is gone, then the next
        // shorter ones.
        while bytes.pop().is_some() {
            files.segments.push((name.clone(), bytes.clone()));
            assert!(files.verify().is_err(), "{name} cut to {}", bytes.len());
            files.segments.pop();
        }
        assert!(files.verify().is_err(), "{name} gone");
    }
}

#[test]
fn a_missing_segment_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let files = filled(dir.path(), 60, 4 << 10);
    for at in 0..files.segments.len() {
        let mut segments = files.segments.clone();
        segments.remove(at);
        let gone = Files { segments, head: files.head.clone(), public: files.public.clone() };
        assert!(gone.verify().is_err(), "segment {at}");
    }
}

#[test]
fn an_older_head_does_not_hide_a_truncation_made_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let older = filled(dir.path(), 10, 64 << 10);
    let newer = filled(dir.path(), 10, 64 << 10);
    let mixed = Files { segments: newer.segments, head: older.head, public: older.public };
    assert!(mixed.verify().is_err(), "entries behind HEAD are not signed for");
}
