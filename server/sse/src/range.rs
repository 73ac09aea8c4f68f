//! Lengths and ranges: of plaintext, and of what is stored for it.

use std::ops::Range;

/// The plaintext of a whole frame, in bytes.
pub const FRAME: u64 = 65_536;
/// What a frame has beside its plaintext.
pub const TAG: u64 = 16;
/// A whole frame as it is stored.
pub const STORED_FRAME: u64 = FRAME.saturating_add(TAG);

/// Which frames hold a range of a part, and what of them isn't of the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The part's length, in bytes of plaintext.
    pub(crate) plain_length: u64,
    /// The number of the first frame.
    pub(crate) first: u64,
    /// How many frames.
    pub(crate) count: u64,
    /// Plaintext bytes of the first frame that come before the range.
    pub(crate) skip: u64,
    /// Plaintext bytes of the range.
    pub(crate) take: u64,
}

/// The stored length of a part of `plain` bytes; `None` where it would overflow.
pub fn stored_length(plain: u64) -> Option<u64> {
    plain.checked_add(frames(plain).checked_mul(TAG)?)
}

/// The plaintext's length from the stored; `None` where no plaintext has it.
pub fn plain_length(stored: u64) -> Option<u64> {
    let plain = stored.checked_sub(stored.div_ceil(STORED_FRAME).checked_mul(TAG)?)?;
    (stored_length(plain) == Some(stored)).then_some(plain)
}

/// An empty part has a frame too: it says that nothing was cut off.
pub(crate) fn frames(plain: u64) -> u64 {
    plain.div_ceil(FRAME).max(1)
}

impl Selection {
    /// The frames of a range of a part that has `plain_length` bytes; `None` where the range isn't in it, or none has this length.
    ///
    /// An empty range selects nothing, but of an empty part its only frame.
    pub fn new(plain_length: u64, range: Range<u64>) -> Option<Self> {
        stored_length(plain_length)?;
        if range.start > range.end || range.end > plain_length {
            return None;
        }
        let take = range.end.checked_sub(range.start)?;
        if take == 0 {
            let count = u64::from(plain_length == 0);
            return Some(Self { plain_length, first: 0, count, skip: 0, take });
        }
        let first = range.start.checked_div(FRAME)?;
        let count = range.end.div_ceil(FRAME).checked_sub(first)?;
        let skip = range.start.checked_rem(FRAME)?;
        Some(Self { plain_length, first, count, skip, take })
    }

    /// The whole part.
    pub fn whole(plain_length: u64) -> Option<Self> {
        Self::new(plain_length, 0..plain_length)
    }

    /// The stored bytes to read, all of them.
    pub fn stored(&self) -> Range<u64> {
        let from = self.first.saturating_mul(STORED_FRAME);
        let end = self.first.saturating_add(self.count).saturating_mul(STORED_FRAME);
        from..end.min(stored_length(self.plain_length).unwrap_or(u64::MAX))
    }

    /// The plaintext's length of the last frame of the part.
    pub(crate) fn last_length(&self) -> u64 {
        let before = frames(self.plain_length).saturating_sub(1).saturating_mul(FRAME);
        self.plain_length.saturating_sub(before)
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "numbers of a test are small")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_go_there_and_back() {
        for (plain, stored) in [
            (0, 16),
            (1, 17),
            (65_535, 65_551),
            (65_536, 65_552),
            (65_537, 65_569),
            (131_072, 131_104),
            (131_073, 131_121),
        ] {
            assert_eq!(stored_length(plain), Some(stored), "{plain}");
            assert_eq!(plain_length(stored), Some(plain), "{stored}");
        }
        for none in [0, 1, 15, 65_553, 65_568, 131_105, 131_120] {
            assert_eq!(plain_length(none), None, "{none}");
        }
        assert_eq!(stored_length(u64::MAX), None);
        assert_eq!(Selection::whole(u64::MAX), None);
        assert_eq!(plain_length(u64::MAX).and_then(stored_length).unwrap_or(u64::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn every_stored_length_is_of_one_plain_length_or_none(stored in 0_u64..1 << 40) {
            match plain_length(stored) {
                Some(plain) => prop_assert_eq!(stored_length(plain), Some(stored)),
                // Only the rests of 1 to 16 bytes behind a whole frame are none's.
                None => prop_assert!(stored == 0 || (1..=16).contains(&(stored % STORED_FRAME)) && stored != 16),
            }
        }

        #[test]
        fn a_range_selects_the_fewest_frames_that_hold_it(plain in 0_u64..1 << 40, a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (a % (plain + 1), b % (plain + 1));
            let range = a.min(b)..a.max(b);
            let selected = Selection::new(plain, range.clone()).unwrap();
            let stored = selected.stored();
            prop_assert!(stored.end <= stored_length(plain).unwrap());
            prop_assert_eq!(selected.take, range.end - range.start);
            if range.is_empty() {
                prop_assert_eq!(stored.is_empty(), plain > 0);
            } else {
                prop_assert_eq!(selected.first, range.start / FRAME);
                prop_assert_eq!(selected.first * FRAME + selected.skip, range.start);
                prop_assert_eq!(selected.first + selected.count - 1, (range.end - 1) / FRAME);
            }
            prop_assert_eq!(Selection::new(plain, 0..plain + 1), None);
        }
    }
}
