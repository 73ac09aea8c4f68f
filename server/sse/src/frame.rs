//! Content in frames: sealed as it comes, opened frame by frame. The form is in the crate's documentation.

use std::fmt;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use bytes::{Buf, Bytes, BytesMut};

use crate::part_key::{OpeningKey, SealingKey};
use crate::range::{FRAME, Selection, TAG, frames};

const FRAME_BYTES: usize = 65_536;
const TAG_BYTES: usize = 16;
/// GCM's bound for one key is 2^32 frames of this size, 256 TiB; far above every part.
const MAX_FRAMES: u64 = 1 << 32;

/// Why content can't be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame of this number isn't what was sealed there.
    #[error("frame {0} of the content was changed, moved or belongs elsewhere")]
    Changed(u64),
    /// The content ends before its last frame.
    #[error("the content ends before its last frame")]
    CutOff,
    /// There is more than the frames that were selected.
    #[error("the content goes on behind its last frame")]
    Surplus,
    /// More than one key may seal.
    #[error("the content has more than 256 TiB")]
    TooLong,
    /// The library failed.
    #[error("the frame can't be sealed")]
    Failed,
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug)]
enum Position {
    Inner,
    Last,
}

impl Position {
    fn associated(self) -> Aad<[u8; 1]> {
        match self {
            Self::Inner => Aad::from([0]),
            Self::Last => Aad::from([1]),
        }
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    for (place, byte) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
        *place = byte;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// Seals a part's content. It takes the key, so that no other content is sealed under it.
pub struct Sealer {
    key: LessSafeKey,
    number: u64,
    plain: u64,
    /// Plaintext of the next frame. A full one waits here: it may be the last.
    frame: BytesMut,
}

impl Sealer {
    /// Starts a part.
    pub fn new(key: SealingKey) -> Self {
        Self { key: key.0, number: 0, plain: 0, frame: BytesMut::new() }
    }

    /// Takes the next bytes, of any length, and gives the frames that are whole.
    ///
    /// # Errors
    /// [`FrameError::TooLong`], [`FrameError::Failed`]; then the part is lost.
    pub fn push(&mut self, mut bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            if self.frame.len() == FRAME_BYTES {
                self.seal(Position::Inner, out)?;
            }
            let room = FRAME_BYTES.saturating_sub(self.frame.len());
            let piece = bytes.split_to(room.min(bytes.len()));
            // Small content gets little memory; what goes on gets a frame's at once.
            let grow = if self.number == 0 && self.frame.is_empty() { piece.len() } else { room };
            self.frame.reserve(grow.saturating_add(TAG_BYTES));
            self.frame.extend_from_slice(&piece);
            self.plain = self.plain.saturating_add(length(piece.len()));
        }
        Ok(())
    }

    /// Gives the last frame, and the length of all that was pushed.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(mut self, out: &mut Vec<Bytes>) -> Result<u64, FrameError> {
        self.seal(Position::Last, out)?;
        Ok(self.plain)
    }

    fn seal(&mut self, position: Position, out: &mut Vec<Bytes>) -> Result<(), FrameError> {
        if self.number >= MAX_FRAMES {
            return Err(FrameError::TooLong);
        }
        let mut frame = std::mem::take(&mut self.frame);
        let number = nonce(self.number);
        // Before it is used: a frame that failed never leaves its number to another.
        self.number = self.number.saturating_add(1);
        let tag = self
            .key
            .seal_in_place_separate_tag(number, position.associated(), &mut frame)
            .map_err(|_opaque| FrameError::Failed)?;
        frame.extend_from_slice(tag.as_ref());
        out.push(frame.freeze());
        Ok(())
    }
}

/// Opens the selected frames of a part.
pub struct Opener {
    key: LessSafeKey,
    selection: Selection,
    /// How many frames were opened.
    done: u64,
    skip: usize,
    take: u64,
    /// Stored bytes of the next frame.
    gathered: BytesMut,
}

impl Opener {
    /// Starts with the first of the selected frames.
    pub fn new(key: OpeningKey, selection: Selection) -> Self {
        let skip = usize::try_from(selection.skip).unwrap_or(usize::MAX);
        let take = selection.take;
        Self { key: key.0, selection, done: 0, skip, take, gathered: BytesMut::new() }
    }

    /// Takes the next stored bytes, of any length, and gives the plaintext of the frames that are proven.
    ///
    /// Bytes that nobody else holds are opened where they are.
    ///
    /// # Errors
    /// [`FrameError`]; nothing of the frame is given then, nor of any after it.
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), FrameError> {
        let mut bytes = match bytes.try_into_mut() {
            Ok(bytes) => bytes,
            Err(shared) => return self.push_shared(shared, out),
        };
        while !bytes.is_empty() {
            let whole = self.next_length()?;
            if self.gathered.is_empty() && bytes.len() >= whole {
                let frame = bytes.split_to(whole);
                self.open(frame, out)?;
            } else {
                let taken = self.gather(&bytes, whole, out)?;
                bytes.advance(taken);
            }
        }
        Ok(())
    }

    fn push_shared(&mut self, mut bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            let whole = self.next_length()?;
            let taken = self.gather(&bytes, whole, out)?;
            bytes.advance(taken);
        }
        Ok(())
    }

    /// Says whether all selected frames were there.
    ///
    /// # Errors
    /// [`FrameError::CutOff`].
    pub fn finish(self) -> Result<(), FrameError> {
        if self.done == self.selection.count { Ok(()) } else { Err(FrameError::CutOff) }
    }

    /// Puts bytes to those that are gathered, and opens the frame once it is whole; says how many bytes it took.
    fn gather(
        &mut self,
        bytes: &[u8],
        whole: usize,
        out: &mut Vec<Bytes>,
    ) -> Result<usize, FrameError> {
        let missing = whole.saturating_sub(self.gathered.len());
        let piece = bytes.get(..missing).unwrap_or(bytes);
        self.gathered.reserve(missing);
        self.gathered.extend_from_slice(piece);
        if self.gathered.len() == whole {
            let frame = std::mem::take(&mut self.gathered);
            self.open(frame, out)?;
        }
        Ok(piece.len())
    }

    fn number(&self) -> u64 {
        self.selection.first.saturating_add(self.done)
    }

    fn position(&self) -> Position {
        if self.number().saturating_add(1) == frames(self.selection.plain_length) {
            Position::Last
        } else {
            Position::Inner
        }
    }

    /// The next frame's stored length.
    fn next_length(&self) -> Result<usize, FrameError> {
        if self.done >= self.selection.count {
            return Err(FrameError::Surplus);
        }
        let plain = match self.position() {
            Position::Inner => FRAME,
            Position::Last => self.selection.last_length(),
        };
        usize::try_from(plain.saturating_add(TAG)).map_err(|_large| FrameError::TooLong)
    }

    fn open(&mut self, mut frame: BytesMut, out: &mut Vec<Bytes>) -> Result<(), FrameError> {
        let number = self.number();
        let opened = self
            .key
            .open_in_place(nonce(number), self.position().associated(), &mut frame)
            .map(|plain| plain.len());
        let Ok(plain) = opened else {
            // Whoever goes on after an error gets nothing more.
            self.selection.count = self.done;
            self.take = 0;
            self.done = u64::MAX;
            return Err(FrameError::Changed(number));
        };
        self.done = self.done.saturating_add(1);
        frame.truncate(plain);
        frame.advance(self.skip.min(plain));
        self.skip = 0;
        frame.truncate(usize::try_from(self.take).unwrap_or(usize::MAX));
        self.take = self.take.saturating_sub(length(frame.len()));
        if !frame.is_empty() {
            out.push(frame.freeze());
        }
        Ok(())
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(redacted)")
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(redacted)")
    }
}
