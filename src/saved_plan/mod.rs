//! Plans that are saved and carried out later: the [`facts`] that a run must find again, the
//! [`differences`] if it does not, and the [`document`] in the file.

pub(crate) mod differences;
pub(crate) mod document;
pub(crate) mod facts;
