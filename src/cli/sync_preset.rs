//! The patterns that `init --sync-preset` and `config update --sync-preset` write, as in the older
//! tool.

use clap::ValueEnum;

/// A set of patterns for both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncPreset {
    /// `docs/**`, `README.md` and `CLAUDE.md`, without `_archive/**`.
    Standard,
    /// `docs/**` and `README.md`.
    Minimal,
}

/// The patterns of one direction.
pub(crate) struct PresetPatterns {
    pub(crate) include: &'static [&'static str],
    pub(crate) exclude: &'static [&'static str],
}

impl SyncPreset {
    /// `sync.to_codex`.
    pub(crate) fn published(self) -> PresetPatterns {
        PresetPatterns {
            include: match self {
                Self::Standard => &["docs/**", "README.md", "CLAUDE.md"],
                Self::Minimal => &["docs/**", "README.md"],
            },
            exclude: self.exclude(),
        }
    }

    /// `sync.from_codex`: the shared documentation, which is that of the codex itself.
    pub(crate) fn pulled(self) -> PresetPatterns {
        PresetPatterns {
            include: &["codex://{org}/{codex_repo}/docs/**"],
            exclude: self.exclude(),
        }
    }

    fn exclude(self) -> &'static [&'static str] {
        match self {
            Self::Standard => &["_archive/**"],
            Self::Minimal => &[],
        }
    }
}
