//! The packages that the build tools of a monorepo list: one file per tool.
//!
//! Only lists that can be read without running the tool are supported. A list that cannot be read
//! is reported as a remark, because the packages of the other tools are found all the same.

mod cargo;
mod go;
mod gradle;
mod manifest_file;
mod maven;
mod member_list;
mod npm;
mod python;

use std::path::Path;

pub(super) use member_list::MemberList;

/// All lists of packages in `root`, also those without any package besides `root` itself.
pub(super) fn in_directory(root: &Path) -> Vec<MemberList> {
    let readers = [
        cargo::members,
        npm::members,
        go::members,
        python::members,
        maven::members,
        gradle::members,
    ];
    readers.iter().filter_map(|members| members(root)).collect()
}

/// The files that mark a directory as a package of some tool.
pub(super) const MANIFESTS: [&str; 12] = [
    "Cargo.toml",
    "package.json",
    "go.mod",
    "pyproject.toml",
    "setup.py",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "mix.exs",
    "composer.json",
    "Gemfile",
    "CMakeLists.txt",
];

#[cfg(test)]
mod tests;
