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
    count_words(text, word, slots);
    if let Some(factor) = factor(scale, slots) {
        for slot in slots {
            *slot *= factor;
        }
    }
}

/// Calls `visit` with each word that counts, in lower case, and what it adds to the inner product of the text's slots
/// with `weights`; nothing if there are no slots. The sum is that inner product.
pub fn visit_words(text: &str, scale: f64, weights: &[f64], mut visit: impl FnMut(&str, f64)) {
    let (mut word, mut slots) = (Vec::new(), vec![0.0; weights.len()]);
    count_words(text, &mut word, &mut slots);
    // Words that cancel each other to nothing leave no length to divide by, and zeros in x.
    let factor = factor(scale, &slots).unwrap_or(0.0);
    for run in words(text) {
        let (slot, sign) = place(run, &mut word, weights.len());
        if let Some(weight) = weights.get(slot) {
            visit(&run.to_ascii_lowercase(), sign * weight * factor);
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()).take(WORDS_MAX)
}

/// The slot of a word among `n`, and its sign.
// It is below n, which came from a usize.
#[allow(clippy::cast_possible_truncation)]
#[inline(always)]
fn place(run: &str, word: &mut Vec<u8>, n: usize) -> (usize, f64) {
    word.clear();
    word.extend(run.bytes().map(|byte| byte.to_ascii_lowercase()));
    let hash = xxh3_64(word);
    let slot = ((hash & 0x7FFF_FFFF) * n as u64) >> 31;
    (slot as usize, if hash >> 63 == 0 { 1.0 } else { -1.0 })
}

fn count_words(text: &str, word: &mut Vec<u8>, slots: &mut [f64]) {
    for run in words(text) {
        let (slot, sign) = place(run, word, slots.len());
        // Counts are whole numbers, so their order does not matter.
        if let Some(slot) = slots.get_mut(slot) {
            *slot += sign;
        }
    }
}

/// What the counts are multiplied by to have the length `scale`, unless they are all zero.
fn factor(scale: f64, counts: &[f64]) -> Option<f64> {
    let norm = counts.iter().map(|v| v * v).sum::<f64>().sqrt();
    (norm > 0.0).then(|| scale / norm)
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

    #[test]
    fn words_add_up_to_the_inner_product() {
        let weights: [f64; 16] = std::array::from_fn(|i| i as f64 - 4.5);
        let text = "Extract TABLES, extract the text; 漢字 Überraschung";
        let product: f64 = encode(text).iter().zip(&weights).map(|(slot, weight)| slot * weight).sum();
        let mut seen = Vec::new();
        visit_words(text, 2.0, &weights, |word, value| seen.push((word.to_owned(), value)));
        assert!((seen.iter().map(|(_, value)| value).sum::<f64>() - product).abs() < 1e-12);
        assert_eq!(seen[0], seen[2]);
        assert_eq!(seen[6].0, "Überraschung");
        visit_words(text, 2.0, &[], |word, _| panic!("{word} has no slot"));
    }
}
