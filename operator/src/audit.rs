//! `coffer-operator audit verify`: whether audit records are all there, as they were written.
//!
//! A server writes its records with a number and the hash of the line before (`coffer-server`, `COFFER_AUDIT`). Lines of several
//! runs may stand in one file, one after the other or mixed; what isn't an audit record is passed over. Seen is any line that
//! was removed, changed, moved or put in between; not seen is that a run's last lines were cut off, or all of it: keep the
//! number and hash that this prints.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

/// What a line says of its place.
#[derive(Deserialize)]
struct Place {
    audit: u8,
    run: String,
    sequence: u64,
    previous: Option<String>,
}

/// Where a run has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Records of it.
    pub records: u64,
    /// SHA-256 of its last line, in hexadecimal.
    pub last: String,
}

/// What isn't as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: u64,
    /// The run that it says to be of.
    pub run: String,
    /// What is wrong with it.
    pub what: What,
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Its number isn't the next one.
    Number {
        /// The next one.
        expected: u64,
        /// Its own.
        found: u64,
    },
    /// The line before it isn't the one that it was written after.
    Previous,
    /// It is an audit record, but none that this version can read.
    Unreadable,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, run, what } = self;
        write!(f, "line {line}, run `{run}`: ")?;
        match what {
            What::Number { expected, found } => write!(
                f,
                "record {found} where {expected} has to be: records are missing, doubled or moved"
            ),
            What::Previous => {
                f.write_str("the record before it was changed, or isn't the one that was written")
            }
            What::Unreadable => f.write_str("it is no record that this version can read"),
        }
    }
}

/// Reads all records, and tells how far each run has come and what isn't as it was written.
///
/// # Errors
/// What reading meets.
pub fn verify(lines: impl BufRead) -> io::Result<(BTreeMap<String, Chain>, Vec<Fault>)> {
    let (mut chains, mut faults) = (BTreeMap::<String, Chain>::new(), Vec::new());
    for (number, line) in (1..).zip(lines.split(b'\n')) {
        let line = line?;
        let is_record = line.starts_with(b"{\"audit\":");
        let Ok(place) = serde_json::from_slice::<Place>(&line) else {
            if is_record {
                faults.push(Fault { line: number, run: String::new(), what: What::Unreadable });
            }
            continue;
        };
        let Place { audit, run, sequence, previous } = place;
        let mut fault = |what| faults.push(Fault { line: number, run: run.clone(), what });
        if audit != 1 {
            fault(What::Unreadable);
            continue;
        }
        let before = chains.get(&run);
        let expected = before.map_or(0, |chain| chain.records);
        if sequence != expected {
            fault(What::Number { expected, found: sequence });
        } else if previous.as_deref() != before.map(|chain| chain.last.as_str()) {
            fault(What::Previous);
        }
        let last = hex::encode(digest(&SHA256, &line));
        chains.insert(run, Chain { records: sequence.saturating_add(1), last });
    }
    Ok((chains, faults))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of a run, as the server writes them.
    fn records(run: &str, count: u64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for sequence in 0..count {
            let previous = lines.last().map(|line| hex::encode(digest(&SHA256, line.as_bytes())));
            let previous = previous.map_or("null".to_owned(), |hash| format!("\"{hash}\""));
            lines.push(format!(
                r#"{{"audit":1,"run":"{run}","sequence":{sequence},"previous":{previous},"status":200}}"#
            ));
        }
        lines
    }

    fn faults(lines: &[String]) -> Vec<(u64, What)> {
        let (_, faults) = verify(lines.join("\n").as_bytes()).unwrap();
        faults.into_iter().map(|fault| (fault.line, fault.what)).collect()
    }

    #[test]
    fn whole_records_of_several_runs_are_whole() {
        let (one, two) = (records("a", 3), records("b", 2));
        let mixed =
            [&one[0], &two[0], &"{\"level\":\"INFO\"}".to_owned(), &one[1], &two[1], &one[2]];
        let text: Vec<&str> = mixed.iter().map(|line| line.as_str()).collect();
        let (chains, faults) = verify(text.join("\n").as_bytes()).unwrap();
        assert_eq!(faults, []);
        assert_eq!((chains["a"].records, chains["b"].records), (3, 2));
    }

    #[test]
    fn every_change_of_a_line_that_others_follow_is_seen() {
        let whole = records("a", 5);
        for at in 0..4 {
            let mut removed = whole.clone();
            removed.remove(at);
            assert!(!faults(&removed).is_empty(), "line {at} removed");
            let mut changed = whole.clone();
            changed[at] = changed[at].replace("200", "403");
            assert_eq!(faults(&changed), [(at as u64 + 2, What::Previous)], "line {at} changed");
            let mut moved = whole.clone();
            moved.swap(at, at + 1);
            assert!(!faults(&moved).is_empty(), "line {at} moved");
            let mut doubled = whole.clone();
            doubled.insert(at, whole[at].clone());
            assert!(!faults(&doubled).is_empty(), "line {at} doubled");
        }
        let mut broken = whole;
        broken[2].truncate(30);
        assert_eq!(faults(&broken)[0], (3, What::Unreadable));
    }
}
