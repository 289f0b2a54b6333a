//! How controls are spelled: a sign, a byte in hexadecimal digits, or a word with a number.

use super::{Reader, To};

impl Reader<'_> {
    /// Reads the control whose backslash has just been read.
    pub(super) fn control(&mut self) {
        let Some((first, rest)) = self.rest.split_first() else {
            return;
        };
        if !first.is_ascii_alphabetic() {
            self.rest = rest;
            match first {
                b'\'' => {
                    let digits = rest
                        .get(..2)
                        .and_then(|digits| std::str::from_utf8(digits).ok());
                    if let Some(byte) =
                        digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())
                    {
                        self.rest = &rest[2..];
                        self.byte(byte);
                    }
                }
                b'\\' | b'{' | b'}' => self.byte(*first),
                b'~' => self.byte(b' '),
                b'_' => self.byte(b'-'),
                // A destination that a reader may not know, and need not.
                b'*' => self.set(|group| {
                    if matches!(group.to, To::Page | To::Note) {
                        group.to = To::Nowhere;
                    }
                }),
                _ => {}
            }
            return;
        }
        let name_end = self
            .rest
            .iter()
            .position(|byte| !byte.is_ascii_alphabetic());
        let (name, rest) = self.rest.split_at(name_end.unwrap_or(self.rest.len()));
        let is_number =
            |(at, byte): &(usize, &u8)| !(byte.is_ascii_digit() || (*at == 0 && **byte == b'-'));
        let number_end = rest
            .iter()
            .enumerate()
            .find(is_number)
            .map_or(rest.len(), |(at, _)| at);
        let (number, rest) = rest.split_at(number_end);
        let number = std::str::from_utf8(number)
            .ok()
            .and_then(|number| number.parse::<i32>().ok());
        self.rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let name = std::str::from_utf8(name).unwrap_or_default();
        // Bytes of one letter may be written in several ways, words end them.
        if name != "u" || number.is_none() {
            self.decode();
        }
        self.word(name, number);
    }
}
