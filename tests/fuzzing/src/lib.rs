//! Feeds a parser of outside bytes with broken examples.
//!
//! `bolero` drives it, on the stable compiler: as a test for a moment, for `COFFER_FUZZ_SECONDS` where that is set, and by
//! `cargo bolero test` with a fuzzer. Its bytes are taken as they are, or as changes to an example: blind bytes would never come
//! past a parser's first line.

use std::time::Duration;

pub use bolero;

/// How many inputs a target gets as an ordinary test.
pub const ITERATIONS: usize = 20_000;

/// Runs a target on each of the examples, a `Vec` of `Vec<u8>`, and on many that are broken.
///
/// `telling` are bytes that mean something to the parser: they are tried more often than others.
#[macro_export]
macro_rules! fuzz {
    ($examples:expr, $telling:expr, $target:expr) => {{
        let (examples, telling, target) = ($examples, $telling, $target);
        let examples: &[::std::vec::Vec<u8>] = &examples;
        let telling: &[u8] = telling;
        $crate::each(examples, &target);
        // Made here: a fuzzer finds the target by its place.
        let check = $crate::bolero::check!().with_max_len(256);
        match $crate::long() {
            Some(time) => check
                .with_test_time(time)
                .for_each(|bytes: &[u8]| target(&$crate::changed(examples, telling, bytes))),
            None => check
                .with_iterations($crate::ITERATIONS)
                .for_each(|bytes: &[u8]| target(&$crate::changed(examples, telling, bytes))),
        }
    }};
}

/// Runs it on each example as it is.
pub fn each(examples: &[Vec<u8>], target: &impl Fn(&[u8])) {
    for example in examples {
        target(example);
    }
}

/// How long a target is fuzzed, if a time is asked for.
///
/// # Panics
/// When `COFFER_FUZZ_SECONDS` is no number.
#[expect(clippy::expect_used, reason = "a test fails by panic")]
pub fn long() -> Option<Duration> {
    let seconds = std::env::var("COFFER_FUZZ_SECONDS").ok()?;
    Some(Duration::from_secs(seconds.parse().expect("COFFER_FUZZ_SECONDS is a number of seconds")))
}

/// An example with some changes, or the bytes themselves: as they say.
pub fn changed(examples: &[Vec<u8>], telling: &[u8], bytes: &[u8]) -> Vec<u8> {
    let Some(([choice, which], changes)) = bytes.split_first_chunk::<2>() else {
        return bytes.to_vec();
    };
    let Some(example) =
        usize::from(*which).checked_rem(examples.len()).and_then(|n| examples.get(n))
    else {
        return changes.to_vec();
    };
    if *choice < 16 {
        return changes.to_vec();
    }
    let mut text = example.clone();
    let most = usize::from(*choice % 6) + 1;
    for change in changes.chunks_exact(4).take(most) {
        let [kind, high, low, byte] = change else { continue };
        let at = usize::from(u16::from_be_bytes([*high, *low])) % (text.len() + 1);
        let end = (at + usize::from(*byte % 16)).min(text.len());
        let told = usize::from(*byte).checked_rem(telling.len()).and_then(|n| telling.get(n));
        let told = told.unwrap_or(byte);
        match kind % 7 {
            0 => text.insert(at, *byte),
            1 => text.insert(at, *told),
            2 => drop(text.drain(at..end)),
            3 => {
                let again: Vec<u8> = text.drain(at..end).collect();
                text.splice(at..at, [again.as_slice(), &again].concat());
            }
            4 => text.truncate(at),
            5 => text.iter_mut().skip(at).take(1).for_each(|old| *old = *told),
            _ => text.iter_mut().skip(at).take(1).for_each(|old| *old ^= 1 << (byte % 8)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::changed;

    #[test]
    fn an_example_comes_back_changed_in_every_way() {
        let examples = [b"GET /b/k HTTP/1.1".to_vec()];
        let given = |changes: &[u8]| changed(&examples, b"\r", &[&[18, 0], changes].concat());
        assert_eq!(given(&[]), examples[0]);
        assert_eq!(given(&[0, 0, 3, b'x']), b"GETx /b/k HTTP/1.1");
        assert_eq!(given(&[1, 0, 3, b'x']), b"GET\r /b/k HTTP/1.1");
        assert_eq!(given(&[2, 0, 3, 5]), b"GET HTTP/1.1");
        assert_eq!(given(&[3, 0, 0, 4]), b"GET GET /b/k HTTP/1.1");
        assert_eq!(given(&[4, 0, 3, 0]), b"GET");
        assert_eq!(given(&[5, 0, 3, 0]), b"GET\r/b/k HTTP/1.1");
        assert_eq!(given(&[6, 0, 0, 5]), b"gET /b/k HTTP/1.1");
        assert_eq!(changed(&examples, b"", &[15, 0, 7]), [7], "bytes as they are");
        assert_eq!(changed(&[], b"", &[99, 0, 7]), [7]);
        assert_eq!(changed(&examples, b"", &[9]), [9]);
    }

    #[test]
    fn a_target_sees_each_example_and_thousands_more() {
        let seen = Mutex::new(BTreeSet::new());
        let examples = vec![b"one".to_vec(), b"two".to_vec()];
        fuzz!(examples.clone(), b"\n", |bytes: &[u8]| {
            seen.lock().unwrap().insert(bytes.to_vec());
        });
        let seen = seen.into_inner().unwrap();
        assert!(examples.iter().all(|example| seen.contains(example)));
        assert!(seen.len() > 1000, "{}", seen.len());
    }
}
