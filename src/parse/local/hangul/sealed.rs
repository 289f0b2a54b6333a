//! Documents for distribution (배포용 문서): text that any reader may show, scrambled with a key that stands
//! beside it (Hancom's specification of documents for distribution, 2).

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt as _, KeyInit as _};

use super::record::{DISTRIBUTE, tree};

/// The bytes of the record that holds the key.
const RECORD: usize = 256;

/// The stream behind the seal, still compressed; `None` where it is damaged.
pub fn open(stream: &[u8]) -> Option<Vec<u8>> {
    let head = stream.get(..4 + RECORD)?;
    let record = tree(head)
        .into_iter()
        .find(|record| record.tag == DISTRIBUTE)?;
    let key = key(record.data.try_into().ok()?)?;
    let cipher = Aes128::new_from_slice(&key).ok()?;
    let mut text = stream[4 + RECORD..].to_vec();
    for block in text.chunks_exact_mut(16) {
        if let Ok(block) = <&mut Array<u8, _>>::try_from(block) {
            cipher.decrypt_block(block);
        }
    }
    Some(text)
}

/// The first four bytes seed the generator of Microsoft's C library, whose numbers hide the rest.
fn key(mut data: [u8; RECORD]) -> Option<[u8; 16]> {
    let seed = u32::from_le_bytes(data[..4].try_into().ok()?);
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(214_013).wrapping_add(2_531_011);
        state >> 16 & 0x7FFF
    };
    let (mut value, mut left) = (0, 0);
    for (at, byte) in data.iter_mut().enumerate() {
        if left == 0 {
            value = (random() & 0xFF) as u8;
            left = (random() & 0xF) + 1;
        }
        if at >= 4 {
            *byte ^= value;
        }
        left -= 1;
    }
    let at = 4 + (seed & 0xF) as usize;
    data.get(at..at + 16)?.try_into().ok()
}
