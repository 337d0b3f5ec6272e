//! Bytes that say what they are and whether they are whole: magic, format version, postcard body, SHA-256 of all before it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::{KernelError, Result};

const CHECKSUM_BYTES: usize = 32;

/// What the bytes begin with.
#[derive(Clone, Copy, Debug)]
pub struct Seal {
    /// Eight bytes that name the kind of state.
    pub magic: &'static [u8; 8],
    /// Version of its body.
    pub version: u16,
}

impl Seal {
    /// Writes a body.
    ///
    /// # Errors
    /// `State` if the bytes cannot be written, which is a bug.
    pub fn close(self, body: &impl Serialize) -> Result<Vec<u8>> {
        let mut bytes = self.magic.to_vec();
        bytes.extend_from_slice(&self.version.to_le_bytes());
        let mut bytes = postcard::to_extend(body, bytes)
            .map_err(|error| KernelError::state(format!("state cannot be written: {error}")))?;
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        Ok(bytes)
    }

    /// Reads a body that `close` wrote.
    ///
    /// # Errors
    /// `State` saying what is wrong with the bytes.
    pub fn open<T: DeserializeOwned>(self, state: &[u8]) -> Result<T> {
        let header = self.magic.len() + size_of::<u16>();
        if state.len() < header + CHECKSUM_BYTES {
            return Err(KernelError::state(format!("state has {} bytes, too few to be one", state.len())));
        }
        let (content, checksum) = state.split_at(state.len() - CHECKSUM_BYTES);
        let (magic, rest) = content.split_at(self.magic.len());
        let (version, body) = rest.split_at(size_of::<u16>());
        if magic != self.magic {
            let expected = String::from_utf8_lossy(self.magic);
            return Err(KernelError::state(format!("state does not begin with the magic bytes {expected}")));
        }
        if version != self.version.to_le_bytes() {
            let found = version.iter().rev().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
            return Err(KernelError::state(format!("state's format version == {found}, must be {}", self.version)));
        }
        if Sha256::digest(content).as_slice() != checksum {
            return Err(KernelError::state("state's checksum differs: the bytes are damaged or cut short"));
        }
        match postcard::take_from_bytes(body) {
            Ok((body, [])) => Ok(body),
            Ok((_, rest)) => Err(KernelError::state(format!("state has {} bytes too many", rest.len()))),
            Err(error) => Err(KernelError::state(format!("state's body cannot be read: {error}"))),
        }
    }
}
