//! Free text as a bag of signed hashed words.

use xxhash_rust::xxh3::xxh3_64;

/// Words beyond this many are not read, so that a long text costs no more than a short one.
const WORDS_MAX: usize = 256;

/// Fills `slots` with the hashed words of `text`, scaled to Euclidean length `scale`; zeros if there are no words.
///
/// A word is a maximal run of alphanumeric characters (Unicode's Alphabetic or Numeric, by the tables of the compiler that
/// built the kernel), with ASCII letters in lower case. `word` is scratch.
pub fn encode_text(text: &str, scale: f64, word: &mut Vec<u8>, slots: &mut [f64]) {
    slots.fill(0.0);
    if slots.is_empty() {
        return;
    }
    let runs = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    for run in runs.take(WORDS_MAX) {
        word.clear();
        word.extend(run.bytes().map(|byte| byte.to_ascii_lowercase()));
        let hash = xxh3_64(word);
        let slot = ((hash & 0x7FFF_FFFF) * slots.len() as u64) >> 31;
        // Counts are whole numbers, so their order does not matter.
        if let Some(slot) = slots.get_mut(slot as usize) {
            *slot += if hash >> 63 == 0 { 1.0 } else { -1.0 };
        }
    }
    let norm = slots.iter().map(|v| v * v).sum::<f64>().sqrt();
    if norm > 0.0 {
        let factor = scale / norm;
        for slot in slots {
            *slot *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str) -> [f64; 16] {
        let mut slots = [7.0; 16];
        encode_text(text, 2.0, &mut Vec::new(), &mut slots);
        slots
    }

    #[test]
    fn words_count_whatever_their_case_order_and_separators() {
        assert_eq!(encode("Extract TABLES, extract text!"), encode("text\ttables extract extract"));
        assert_ne!(encode("extract tables"), encode("extract text"));
    }

    #[test]
    fn the_length_is_the_scale() {
        let norm: f64 = encode("a few words about überraschung 漢字").iter().map(|v| v * v).sum();
        assert!((norm - 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_text_without_words_is_zero() {
        assert_eq!(encode(""), [0.0; 16]);
        assert_eq!(encode(" -- ... "), [0.0; 16]);
    }

    #[test]
    fn words_beyond_the_limit_are_not_read() {
        let limit = "w ".repeat(WORDS_MAX);
        assert_eq!(encode(&limit), encode(&format!("{limit} other words")));
    }
}
