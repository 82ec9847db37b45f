use std::fs;

use super::*;

/// Creates files in a new directory, and returns the packages that are found there.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let lists = in_directory(directory.path());
    let directories = lists.iter().flat_map(|list| &list.directories);
    let directories = directories.map(|one| one.display().to_string());
    let remarks = lists.iter().flat_map(|list| &list.remarks);
    let remarks = remarks.map(|remark| {
        let temporary = directory.path().display().to_string();
        format!("! {}", remark.replace(&temporary, "ROOT"))
    });
    directories.chain(remarks).collect()
}

#[test]
fn member_lists_are_read_as_their_tools_read_them() {
    const CRATE: &str = "[package]\nname = 'x'\n";
    const PACKAGE: &str = "{ \"name\": \"x\" }";
    const PYTHON: &str = "[project]\nname = 'x'\n";
    const POM: &str = "<project/>";

    for (files, expected) in [
        // Cargo: globs, excluded paths, a path that is excluded and listed, and path dependencies,
        // which are inherited, or only of one target.
        (
            &[
                (
                    "Cargo.toml",
                    "[package]\nname = 'x'\n[workspace]\nmembers = ['crates/*', 'old/kept', '../out', 'gone']\n\
                     exclude = ['crates/no', 'old']\n[workspace.dependencies]\nshared = { path = 'shared' }\n",
                ),
                (
                    "crates/a/Cargo.toml",
                    "[package]\nname = 'a'\n[target.'cfg(all())'.dev-dependencies]\nb = { path = '../../unix' }\n\
                     [dependencies]\nshared.workspace = true\nold = { path = '../../old/other' }\n",
                ),
                ("crates/no/Cargo.toml", CRATE),
                ("crates/empty/README.md", ""),
                ("old/kept/Cargo.toml", CRATE),
                ("old/other/Cargo.toml", CRATE),
                ("shared/Cargo.toml", CRATE),
                ("unix/Cargo.toml", CRATE),
                ("unlisted/Cargo.toml", CRATE),
            ][..],
            &[
                "",
                "crates/a",
                "old/kept",
                "shared",
                "unix",
                "! Cargo workspace (Cargo.toml): `../out` is outside of this directory",
                "! Cargo workspace (Cargo.toml): `gone` has no Cargo.toml",
            ][..],
        ),
        (&[("Cargo.toml", CRATE)], &[]),
        // npm: a map, a glob of any depth, an excluded package, and a directory without a manifest.
        (
            &[
                (
                    "package.json",
                    r#"{ "workspaces": { "packages": ["packages/**", "!packages/b", "./apps/web/", "@(a|b)"] } }"#,
                ),
                ("packages/a/package.json", PACKAGE),
                ("packages/a/node_modules/x/package.json", PACKAGE),
                ("packages/b/package.json", PACKAGE),
                ("packages/deep/c/package.json", PACKAGE),
                ("packages/empty/README.md", ""),
                ("apps/web/package.json", PACKAGE),
                ("package-lock.json", "{}"),
            ],
            &[
                "apps/web",
                "packages/a",
                "packages/deep/c",
                "! npm workspaces (package.json): `@(a|b)`",
            ],
        ),
        // pnpm: an exclusion counts wherever it is, and `workspaces` does not.
        (
            &[
                (
                    "pnpm-workspace.yaml",
                    "packages: ['!**/test/**', 'packages/*', 'packages/a/**']\n",
                ),
                ("package.json", r#"{ "workspaces": ["other"] }"#),
                ("other/package.json", PACKAGE),
                ("packages/a/package.json", PACKAGE),
                ("packages/a/test/x/package.json", PACKAGE),
                ("packages/b/package.yaml", "name: b\n"),
            ],
            &["", "packages/a", "packages/b"],
        ),
        (&[("pnpm-workspace.yaml", "catalog: {}\n")], &[]),
        (
            &[
                ("lerna.json", "{}"),
                ("package.json", PACKAGE),
                ("packages/a/package.json", PACKAGE),
            ],
            &["packages/a"],
        ),
        // Go: both forms of the directive, and comments.
        (
            &[
                (
                    "go.work",
                    "go 1.24\nuse ./one // first\n\nuse (\n\t./two\n\t// ./three\n\t\"./four\"\n)\nuseless ./five\nreplace a => ./six\n",
                ),
                ("one/go.mod", ""),
                ("two/go.mod", ""),
                ("three/go.mod", ""),
                ("four/go.mod", ""),
                ("six/go.mod", ""),
            ],
            &["four", "one", "two"],
        ),
        // uv, Hatch and Poetry.
        (
            &[
                (
                    "pyproject.toml",
                    "[project]\nname = 'x'\n[tool.uv.workspace]\nmembers = ['libs/*']\nexclude = ['libs/old']\n",
                ),
                ("libs/a/pyproject.toml", PYTHON),
                ("libs/old/pyproject.toml", PYTHON),
                ("libs/empty/README.md", ""),
            ],
            &["", "libs/a"],
        ),
        (
            &[
                (
                    "pyproject.toml",
                    "[tool.hatch.envs.default]\nworkspace.members = ['a', { path = 'b', features = ['x'] }]\n",
                ),
                ("a/pyproject.toml", PYTHON),
                ("b/pyproject.toml", PYTHON),
            ],
            &["a", "b"],
        ),
        (
            &[
                (
                    "pyproject.toml",
                    "[tool.poetry]\nname = 'x'\n[tool.poetry.group.dev.dependencies]\na = { path = 'libs/a', develop = true }\nb = '^1'\n",
                ),
                ("libs/a/pyproject.toml", PYTHON),
            ],
            &["", "libs/a"],
        ),
        // Maven: nested modules, a module that is a file, and only the profiles that need no option.
        (
            &[
                (
                    "pom.xml",
                    "<?xml version='1.0'?><project xmlns='http://maven.apache.org/POM/4.0.0'><modules><!-- x -->\
                     <module> core </module><module>web/pom-web.xml</module><module>web/pom-more.xml</module>\
                     <module>../out</module><module>gone</module></modules><profiles>\
                     <profile><id>ci</id><modules><module>never</module></modules></profile><profile><activation>\
                     <activeByDefault>true</activeByDefault></activation><modules><module>extra</module></modules>\
                     </profile><profile><activation><property><name>!skip</name></property></activation><modules>\
                     <module>unless</module></modules></profile><profile><activation><jdk>[17,)</jdk></activation>\
                     <modules><module>new</module></modules></profile><profile><id>cd</id><activation><jdk>17</jdk>\
                     <property><name>full</name></property></activation><modules><module>never</module></modules>\
                     </profile></profiles></project>",
                ),
                (
                    "core/pom.xml",
                    "<project><subprojects><subproject>api</subproject></subprojects></project>",
                ),
                (
                    "core/api/pom.xml",
                    "<project><modules><module>../../core</module></modules></project>",
                ),
                ("web/pom-web.xml", POM),
                (
                    "web/pom-more.xml",
                    "<project><modules><module>more</module></modules></project>",
                ),
                ("web/more/pom.xml", POM),
                ("extra/pom.xml", POM),
                ("never/pom.xml", POM),
                ("new/pom.xml", POM),
                ("unless/pom.xml", POM),
            ],
            &[
                "",
                "core",
                "core/api",
                "extra",
                "new",
                "unless",
                "web",
                "web/more",
                "! Maven modules (pom.xml): `../out` is outside of this directory",
                "! Maven modules (pom.xml): `gone` is not a directory",
                "! Maven modules (pom.xml): the modules of the profile `ci` are left out",
                "! Maven modules (pom.xml): the modules of the profile `cd` are left out",
            ],
        ),
        // Gradle: both languages, several names in a statement, and a project elsewhere.
        (
            &[
                (
                    "settings.gradle",
                    "rootProject.name = 'x'\ninclude 'api', ':libs:one' // include 'no'\n/* include 'no' */\n\
                     include(\n  \"web\"\n)\ninclude 'absent'\nproject(':web').projectDir = file('sites/web')\n",
                ),
                ("api/build.gradle", ""),
                ("libs/one/build.gradle", ""),
                ("sites/web/build.gradle", ""),
                ("web/x", ""),
                ("no/build.gradle", ""),
            ],
            &["api", "libs", "libs/one", "sites/web"],
        ),
        // Broken files are reported, and the other lists are used.
        (
            &[
                ("Cargo.toml", "[workspace\n"),
                ("package.json", "{"),
                ("pom.xml", "<project>"),
                ("go.work", "use ./a"),
                ("a/go.mod", ""),
            ],
            &[
                "",
                "a",
                "! Cargo workspace (Cargo.toml): cannot read `ROOT/Cargo.toml`",
                "! npm workspaces (package.json): cannot read `ROOT/package.json`",
                "! Maven modules (pom.xml): cannot read `ROOT/pom.xml`",
            ],
        ),
    ] {
        let mut found = found(files);
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        let is_same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(found, expected)| {
                found == expected || (expected.starts_with('!') && found.starts_with(expected))
            });
        assert!(is_same, "{files:#?}: {found:#?}");
    }
}
