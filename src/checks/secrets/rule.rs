//! A rule: the published format of one kind of secret.

/// The published format of one kind of secret.
pub(super) struct SecretRule {
    /// A stable identifier of the kind.
    pub kind: &'static str,
    /// The name of the kind, with its article.
    pub name: &'static str,
    /// Lower-case texts of which one is in every secret of this kind, or right before it.
    pub keywords: &'static [&'static str],
    /// A regular expression. The secret is its first group, or else the whole match. If the format
    /// has a part that is not random, such as a run of `A`, the group `random` is the other part.
    pub pattern: &'static str,
    /// The place of the pattern.
    pub anchor: Anchor,
    /// What distinguishes a match from a placeholder.
    pub proof: Proof,
}

/// The place of a pattern in the text, compared with the keyword of its rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The pattern begins with the keyword, which begins a word.
    Keyword,
    /// The pattern begins with the keyword, which can be the end of a longer name.
    Setting,
    /// The pattern is somewhere in the word that contains the keyword.
    Word,
}

/// The proof that a match is a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The characters look random.
    Random,
    /// The last six characters are the CRC-32 of the thirty before them, in base 62.
    Checksum,
    /// The characters look random, and the name before them is not that of a digest.
    Named,
    /// The parts are JSON objects in base64.
    WebToken,
    /// The match is a key identifier, and the secret that belongs to it is near.
    AwsPair,
    /// The lines after the match are the base64 text of a private key.
    PrivateKey,
    /// The text is that of a private key, in base64 as a whole.
    WrappedKey,
    /// The match is a private member of a JSON web key.
    JsonWebKey,
    /// The user info of a URL has a password that looks random.
    UrlPassword,
    /// The text is a password that looks random.
    Password,
    /// The text is a user and a password in base64, or such a password alone.
    Account,
    /// The text is the value of an HTTP header, and no web token.
    Header,
}

/// A format that begins with a keyword.
pub(super) const fn prefix(
    kind: &'static str,
    name: &'static str,
    keywords: &'static [&'static str],
    pattern: &'static str,
) -> SecretRule {
    SecretRule {
        kind,
        name,
        keywords,
        pattern,
        anchor: Anchor::Keyword,
        proof: Proof::Random,
    }
}

/// A value after the name of a setting, which is the keyword.
pub(super) const fn setting(
    kind: &'static str,
    name: &'static str,
    keywords: &'static [&'static str],
    pattern: &'static str,
) -> SecretRule {
    SecretRule {
        anchor: Anchor::Setting,
        proof: Proof::Named,
        ..prefix(kind, name, keywords, pattern)
    }
}

/// A format with a keyword inside.
pub(super) const fn inside(
    kind: &'static str,
    name: &'static str,
    keywords: &'static [&'static str],
    pattern: &'static str,
) -> SecretRule {
    SecretRule {
        anchor: Anchor::Word,
        ..prefix(kind, name, keywords, pattern)
    }
}

impl SecretRule {
    /// The rule with another proof.
    pub(super) const fn with(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }
}

/// Between a name and its value: signs, and the words of a sentence, a table or a call.
macro_rules! separator {
    () => {
        concat!(
            r"(?:[^A-Za-z0-9]{1,24}?(?i:(?:value|body|data|text|is|was|to|t[dh]|type|sensitive|true|default|const|str|string|code|strong|b|bearer|basic|token|bot)\b[^A-Za-z0-9]{1,24}?){0,5}",
            r#"(?:["'`][A-Za-z0-9_.@-]{1,40}["'`],[ \t]{0,4}["'`])?)"#
        )
    };
}

pub(super) use separator;
