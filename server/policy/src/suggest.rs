//! What was likely meant.

/// The candidate nearest to `word`, if one is near enough to be a slip: case doesn't count, at most a third of the letters differ.
pub(crate) fn near<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let allowed = (word.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let change = diagonal.saturating_add(usize::from(x != *y));
            diagonal = *above;
            left = change.min(above.saturating_add(1)).min(left.saturating_add(1));
            *above = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_a_stranger_is_not() {
        for (word, expected) in [
            ("StringLke", Some("StringLike")),
            ("stringlike", Some("StringLike")),
            ("StringEqual", Some("StringEquals")),
            ("Quux", None),
        ] {
            assert_eq!(near(word, ["StringLike", "StringEquals"]).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn a_third_of_the_letters_may_differ_and_four_at_most() {
        for (word, candidate, is_near) in [
            ("abcdefghi", "abcdefxyz", true),
            ("abcdefgh", "abcdexyz", false),
            ("ab", "xb", true),
            ("ab", "xy", false),
            ("abcdefghijklmnopqr", "abcdefghijklmnwxyz", true),
            ("abcdefghijklmnopqr", "abcdefghijklmvwxyz", false),
        ] {
            assert_eq!(near(word, [candidate]).is_some(), is_near, "{word}");
        }
        let longest = "a".repeat(64);
        assert!(near(&longest, [longest.as_str()]).is_some());
        let longer = "a".repeat(65);
        assert_eq!(near(&longer, [longer.as_str()]), None, "nobody looks for it");
    }
}
