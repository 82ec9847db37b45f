//! Pairs of characters that readable text does not have.

/// For each letter, the letters that often follow it in English text: together, these pairs are 97 %
/// of all pairs of letters in the README files of 600 crates.
const FOLLOWERS: [&[u8]; 26] = [
    b"bcdfgiklmnprstuvwy",
    b"aeilorsuy",
    b"acehikloprstuy",
    b"adegilorsuy",
    b"abcdefgilmnopqrstvwxy",
    b"aefilorstuy",
    b"aeghilnorsu",
    b"aeimortuy",
    b"abcdefgklmnoprstvxz",
    b"aes",
    b"aeins",
    b"adefilnopstuy",
    b"abdeilmopsu",
    b"acdefgiklnostuvy",
    b"abcdefgiklmnoprstuvwx",
    b"adehikloprstuy",
    b"u",
    b"acdefgiklmnoprstuvy",
    b"acehiklmnoprstuy",
    b"acdefhiloprstuwy",
    b"abcdefgilmnprst",
    b"aeio",
    b"aehinors",
    b"aceipt",
    b"emnopst",
    b"aei",
];

/// The same as sets: bit 0 of a set is `a`.
const FOLLOWER_SETS: [u32; 26] = {
    let mut sets = [0; 26];
    let mut letter = 0;
    while letter < 26 {
        let mut follower = 0;
        while follower < FOLLOWERS[letter].len() {
            sets[letter] |= 1 << (FOLLOWERS[letter][follower] - b'a');
            follower += 1;
        }
        letter += 1;
    }
    sets
};

/// The share of the pairs of letters and digits that readable text rarely has, from 0 to 1. It is
/// about 0.5 in a random text. A capital letter after a small one is the start of a joined word, and
/// such a pair does not count.
pub(super) fn unreadable_share(text: &[u8]) -> f64 {
    let mut pairs = 0_u32;
    let mut unreadable = 0_u32;
    for pair in text.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        let is_part = first.is_ascii_alphanumeric() && second.is_ascii_alphanumeric();
        let is_joint = first.is_ascii_lowercase() && second.is_ascii_uppercase();
        if is_part && !is_joint {
            pairs += 1;
            unreadable += u32::from(!is_readable(first, second));
        }
    }
    f64::from(unreadable) / f64::from(pairs.max(1))
}

/// Whether two letters or digits follow each other in readable text or in the alphabet.
fn is_readable(first: u8, second: u8) -> bool {
    let (first, second) = (first.to_ascii_lowercase(), second.to_ascii_lowercase());
    match (first, second) {
        (b'0'..=b'9', b'0'..=b'9') => true,
        (b'a'..=b'z', b'a'..=b'z') => {
            let is_next = first == second || first + 1 == second;
            is_next || FOLLOWER_SETS[usize::from(first - b'a')] & (1 << (second - b'a')) != 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_texts_have_more_unreadable_pairs_than_names() {
        for name in [
            "CloudflareApiTokenProviderFactory",
            "correct-horse-battery-staple",
            "abcdefghijklmnopqrstuvwxyz",
            "kSecAttrAccessibleAfterFirstUnlock",
            "",
        ] {
            assert!(unreadable_share(name.as_bytes()) < 0.15, "{name}");
        }
        let mut random = fastrand::Rng::with_seed(12);
        for _ in 0..1_000 {
            let text: String = (0..40).map(|_| random.alphanumeric()).collect();
            assert!(unreadable_share(text.as_bytes()) > 0.15, "{text}");
        }
    }
}
