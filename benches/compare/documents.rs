//! A deterministic generator of documents.
//!
//! A document has headings, links, an image, code, and text that resembles secrets, because the
//! checks look at them. Every link leads to a file and a heading that exist, in the workspace and in
//! the codex. No text is a secret: it has keywords of the rules, followed by placeholders, digests
//! and example keys that services publish.

/// The average number of bytes between two blocks that are not plain text.
const BYTES_PER_BLOCK: u64 = 300;

const WORDS: [&str; 24] = [
    "service", "queue", "owner", "table", "index", "retry", "metric", "alert", "deploy", "cluster",
    "schema", "branch", "the", "of", "and", "with", "before", "after", "must", "should", "every",
    "each", "between", "under",
];

/// The documents of a workspace.
#[derive(Clone, Copy)]
pub(crate) struct Documents {
    pub(crate) projects: usize,
    /// The number of documents of a project, `README.md` included.
    pub(crate) files: usize,
}

impl Documents {
    /// The path of a document below its project.
    pub(crate) fn path(file: usize) -> String {
        match file {
            0 => "README.md".to_owned(),
            _ => format!("docs/part-{}/{file}.md", file % 23),
        }
    }

    /// A document of 1 to 12 KB for `path` in a project.
    pub(crate) fn document(self, random: &mut Random, path: &str) -> String {
        let length = 1024 + random.below(11_000);
        let up = "../".repeat(path.matches('/').count());
        let mut text = format!("# Document {path}\n\n## Overview\n\n");
        text.reserve(length);
        while text.len() < length {
            // A word has about seven bytes.
            if random.below(BYTES_PER_BLOCK as usize / 7) == 0 {
                self.block(random, &up, &mut text);
            }
            text.push_str(WORDS[random.below(24)]);
            text.push(if random.below(12) == 0 { '\n' } else { ' ' });
        }
        text.push_str("\n\n## Limits\n\nNone.\n");
        text
    }

    /// Adds something that is not plain text. `up` leads to the project.
    fn block(self, random: &mut Random, up: &str, text: &mut String) {
        let file = 1 + random.below((self.files - 1).max(1));
        let target = Self::path(file);
        match random.below(12) {
            0..3 => text.push_str(&format!("[{file}]({up}{target}) ")),
            3..5 => text.push_str(&format!("[the limits of {file}]({up}{target}#limits) ")),
            5 => {
                let project = random.below(self.projects);
                text.push_str(&format!(
                    "[{file}]({up}../proj-{project:03}/{target}#overview) "
                ));
            }
            6 => text.push_str(&format!("![The parts]({up}docs/parts.svg) ")),
            7 => text.push_str(&format!("see [above](#overview) or [the guide][{file}].\n\n[{file}]: https://docs.acme.example/{file}\n\n")),
            8 => {
                let section = random.next() % 1_000_000;
                text.push_str(&format!("\n\n### The `{}` section {section}\n\n", WORDS[random.below(24)]));
            }
            9 => text.push_str(&format!(
                "\n\n```yaml\nimage: registry.acme.example/api@sha256:{}\nreplicas: {file}\nlink: \"[not a link](missing.md)\"\n```\n\n",
                random.hex(64)
            )),
            _ => text.push_str(&self.resembles_a_secret(random)),
        }
    }

    /// Text that a search for secrets has to look at, and that is none.
    fn resembles_a_secret(self, random: &mut Random) -> String {
        match random.below(9) {
            0 => format!("(commit {}) ", random.hex(40)),
            1 => {
                let mut part = |length| random.hex(length);
                let id = [part(8), part(4), part(4), part(4), part(12)].join("-");
                format!("\n\n```env\nREQUEST_ID={id}\nAPI_KEY=<your api key of the service>\n```\n\n")
            }
            2 => "\n\n```sh\nexport AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nexport AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n```\n\n".to_owned(),
            3 => "\n\n    token: ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n\n".to_owned(),
            4 => "`sk_test_XXXXXXXXXXXXXXXXXXXXXXXX` ".to_owned(),
            5 => "`postgres://user:password@localhost:5432/${DATABASE_NAME_OF_SERVICE}` ".to_owned(),
            6 => "`Authorization: Bearer ${SERVICE_TOKEN_OF_THE_DEPLOYMENT}` ".to_owned(),
            7 => format!("https://docs.acme.example/reference/{}/index.html ", random.hex(24)),
            _ => format!("the secret is read from `services_secret_token_{}` ", random.below(1000)),
        }
    }
}

/// A deterministic source of random numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn hex(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| char::from(b"0123456789abcdef"[self.below(16)]))
            .collect()
    }
}
