//! Reading one large file while what was read is worked on, so that neither disk nor core waits for
//! the other.

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, Sender, channel, sync_channel},
    thread,
};

use hash_files::{HashError, digest::Reading};

/// Bytes in a piece, and pieces that wait to be worked on.
const PIECE: usize = 256 * 1024;
const PIECES: usize = 2;

/// The bytes of a file, read by another thread.
pub(crate) struct Ahead {
    full: Receiver<Result<Piece, HashError>>,
    empty: Sender<Vec<u8>>,
    piece: Piece,
    at: usize,
}

#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    length: usize,
}

/// Reads `reading` to its end, or as far as `work` wants it.
///
/// # Errors
/// Of `work`, or the thread cannot be started.
pub(crate) fn ahead<T>(
    mut reading: Reading,
    work: impl FnOnce(&mut Ahead) -> Result<T, HashError>,
) -> Result<T, HashError> {
    let (give, full) = sync_channel(PIECES);
    let (empty, taken_back) = channel::<Vec<u8>>();
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, move || {
            while !reading.ended() {
                let mut bytes = taken_back.try_recv().unwrap_or_else(|_| vec![0; PIECE]);
                let length = reading.fill(&mut bytes).map(<[u8]>::len);
                let failed = length.is_err();
                // Nobody takes it where the work has ended before the file.
                if give
                    .send(length.map(|length| Piece { bytes, length }))
                    .is_err()
                    || failed
                {
                    return;
                }
            }
        });
        thread.map_err(|source| HashError::Io {
            op: "start a thread for",
            source,
        })?;
        let mut ahead = Ahead {
            full,
            empty,
            piece: Piece::default(),
            at: 0,
        };
        work(&mut ahead)
    })
}

impl Read for Ahead {
    /// A failure is a [`HashError`] within the error.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.length {
            let Ok(next) = self.full.recv() else {
                return Ok(0);
            };
            let last = std::mem::replace(&mut self.piece, next.map_err(io::Error::other)?);
            self.at = 0;
            if !last.bytes.is_empty() {
                // Nobody needs it where the file has ended.
                let _ = self.empty.send(last.bytes);
            }
        }
        let count = buffer.len().min(self.piece.length - self.at);
        buffer[..count].copy_from_slice(&self.piece.bytes[self.at..][..count]);
        self.at += count;
        Ok(count)
    }
}
