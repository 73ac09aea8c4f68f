//! Lines that hold each other: each has the hash of the one before.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::Record;

/// The lines of one process to one destination.
#[derive(Debug)]
pub(super) struct Chain {
    run: String,
    sequence: u64,
    previous: Option<String>,
    /// Records that didn't become lines since the last one.
    lost: u64,
}

/// A record with its place in the chain.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    audit: u8,
    run: &'a str,
    sequence: u64,
    previous: Option<&'a str>,
    #[serde(flatten)]
    record: &'a Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_before: Option<u64>,
}

impl Chain {
    pub(super) fn new() -> Self {
        let run = format!("{:016x}", rand::random::<u64>());
        Self { run, sequence: 0, previous: None, lost: 0 }
    }

    /// Has `keep` keep the line of a record before which `lost` others were lost. What isn't kept is no link of the chain: the next line
    /// counts it.
    ///
    /// # Errors
    /// Those of `keep`.
    pub(super) fn add<E>(
        &mut self,
        record: &Record,
        lost: u64,
        keep: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.lost = self.lost.saturating_add(lost);
        let line = Line {
            audit: 1,
            run: &self.run,
            sequence: self.sequence,
            previous: self.previous.as_deref(),
            record,
            lost_before: (self.lost > 0).then_some(self.lost),
        };
        self.lost = self.lost.saturating_add(1);
        // A record is texts and numbers: it always is JSON.
        let Ok(mut line) = serde_json::to_vec(&line) else { return Ok(()) };
        let hash = hex::encode(digest(&SHA256, &line));
        line.push(b'\n');
        keep(&line)?;
        self.previous = Some(hash);
        self.sequence = self.sequence.saturating_add(1);
        self.lost = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::record;

    #[test]
    fn each_line_has_the_hash_of_the_one_before() {
        let mut chain = Chain::new();
        let mut kept = Vec::new();
        for (number, lost) in [(0, 2), (1, 0), (2, 0), (3, 4), (4, 0)] {
            let outcome = chain.add(&record(number), lost, |line| {
                // The third finds no room.
                if number == 2 {
                    return Err("full");
                }
                kept.push(line.to_vec());
                Ok(())
            });
            assert_eq!(outcome.is_err(), number == 2);
        }
        let lost = [Some(2), None, Some(5), None];
        let asked = ["0", "1", "3", "4"];
        let mut previous = None::<String>;
        assert_eq!(kept.len(), 4);
        for (number, line) in kept.iter().enumerate() {
            let line = line.strip_suffix(b"\n").unwrap();
            let read: serde_json::Value = serde_json::from_slice(line).unwrap();
            assert_eq!(read["sequence"], number);
            assert_eq!(read["requestId"], asked[number]);
            assert_eq!(read["previous"].as_str().map(str::to_owned), previous);
            assert_eq!(read.get("lostBefore").and_then(serde_json::Value::as_u64), lost[number]);
            previous = Some(hex::encode(digest(&SHA256, line)));
        }
    }
}
