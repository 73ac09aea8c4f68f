//! Which statements can be about a request, found without looking at all of them.
//!
//! Actions that the same statements are about share a list. In a list, resource patterns are grouped by where the last eight
//! bytes of their literal start lie, and sorted by those bytes: of a hundred buckets' patterns, one is compared.
//!
//! INVARIANT: the index may name too many statements, never too few; whether one applies is asked of the statement.

use std::collections::HashMap;

use crate::action::{Action, ActionSet};
use crate::document::Polarity;
use crate::resource::{Resource, ResourcePattern};

use super::Statement;

/// Rows beyond which all actions share one list, so that no document makes an index much larger than itself.
const ROWS: usize = 4096;
const WIDTH: usize = 8;

#[derive(Debug)]
pub(super) struct Index {
    /// From which action's number on which list holds, in ascending order.
    runs: Box<[(u16, u16)]>,
    lists: Box<[Box<[Group]>]>,
}

/// Patterns whose literal start ends at the same place.
#[derive(Debug)]
struct Group {
    offset: u16,
    /// Bytes that are compared, 0 to 8; with 0 every resource goes.
    width: u16,
    rows: Box<[Row]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    bytes: u64,
    statement: u16,
}

impl Index {
    pub(super) fn new(statements: &[Statement]) -> Self {
        // Most actions are in the same statements as their neighbour: only where that changes a list is made.
        let starts: Vec<Action> = changes(statements).iter().collect();
        let of_start: Vec<Vec<u16>> = starts
            .iter()
            .map(|action| {
                numbered(statements)
                    .filter(|(_, one)| one.includes(*action))
                    .map(|(i, _)| i)
                    .collect()
            })
            .collect();
        let mut distinct: HashMap<&[u16], u16> = HashMap::new();
        let mut lists: Vec<&[u16]> = Vec::new();
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for (action, numbers) in starts.iter().zip(&of_start) {
            let next = u16::try_from(lists.len()).unwrap_or(u16::MAX);
            let list = *distinct.entry(numbers).or_insert_with(|| {
                lists.push(numbers);
                next
            });
            runs.push((action.number(), list));
        }
        let rows = lists
            .iter()
            .flat_map(|list| list.iter())
            .filter_map(|number| statements.get(usize::from(*number)));
        let rows: usize = rows.map(|statement| statement.resources.patterns.len()).sum();
        if rows > ROWS {
            let all: Vec<u16> = numbered(statements).map(|(i, _)| i).collect();
            return Self { runs: [(0, 0)].into(), lists: [groups(statements, &all)].into() };
        }
        let lists = lists.into_iter().map(|numbers| groups(statements, numbers)).collect();
        Self { runs: runs.into(), lists }
    }

    /// Calls `visit` with each statement that can be about the request, some perhaps twice.
    pub(super) fn candidates(
        &self,
        action: Action,
        resource: Resource<'_>,
        mut visit: impl FnMut(u16),
    ) {
        let number = action.number();
        let run = self.runs.partition_point(|(first, _)| *first <= number).saturating_sub(1);
        let Some(groups) =
            self.runs.get(run).and_then(|(_, list)| self.lists.get(usize::from(*list)))
        else {
            return;
        };
        let text = match resource {
            Resource::S3(text) => Some(text.as_bytes()),
            Resource::All | Resource::Kms(_) => None,
        };
        for group in groups {
            if group.width == 0 {
                group.rows.iter().for_each(|row| visit(row.statement));
                continue;
            }
            let Some(bytes) = text.and_then(|text| read(text, group.offset, group.width)) else {
                continue;
            };
            let start = group.rows.partition_point(|row| row.bytes < bytes);
            for row in group.rows.get(start..).unwrap_or_default() {
                if row.bytes != bytes {
                    break;
                }
                visit(row.statement);
            }
        }
    }
}

/// The first action, and each that some statement is about and its predecessor isn't, or the other way about.
fn changes(statements: &[Statement]) -> ActionSet {
    let mut changes: ActionSet = Action::ALL.first().copied().into_iter().collect();
    for statement in statements {
        changes.add(&statement.actions.borders());
    }
    changes
}

fn numbered(statements: &[Statement]) -> impl Iterator<Item = (u16, &Statement)> {
    statements
        .iter()
        .enumerate()
        .filter_map(|(i, statement)| Some((u16::try_from(i).ok()?, statement)))
}

fn groups(statements: &[Statement], numbers: &[u16]) -> Box<[Group]> {
    let mut found: Vec<((u16, u16), Row)> = Vec::new();
    for number in numbers {
        let Some(statement) = statements.get(usize::from(*number)) else { continue };
        match statement.resources.polarity {
            Polarity::AllBut => found.push(((0, 0), Row { bytes: 0, statement: *number })),
            Polarity::Listed => {
                for pattern in &statement.resources.patterns {
                    let (place, bytes) = key(pattern);
                    found.push((place, Row { bytes, statement: *number }));
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
        .chunk_by(|(a, _), (b, _)| a == b)
        .filter_map(|chunk| {
            let ((offset, width), _) = *chunk.first()?;
            Some(Group { offset, width, rows: chunk.iter().map(|(_, row)| *row).collect() })
        })
        .collect()
}

/// Where the last bytes of a pattern's literal start lie, how many they are, and what they are.
fn key(pattern: &ResourcePattern) -> ((u16, u16), u64) {
    let everything = ((0, 0), 0);
    let ResourcePattern::S3(pattern) = pattern else { return everything };
    let start = pattern.literal_start().as_bytes();
    let width = start.len().min(WIDTH);
    let (Ok(offset), Ok(width)) =
        (u16::try_from(start.len().saturating_sub(width)), u16::try_from(width))
    else {
        return everything;
    };
    read(start, offset, width).map_or(everything, |bytes| ((offset, width), bytes))
}

fn read(text: &[u8], offset: u16, width: u16) -> Option<u64> {
    let rest = text.get(usize::from(offset)..)?;
    if usize::from(width) == WIDTH {
        return rest.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    }
    let bytes = rest.get(..usize::from(width))?;
    let mut padded = [0; WIDTH];
    padded.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
    Some(u64::from_le_bytes(padded))
}
