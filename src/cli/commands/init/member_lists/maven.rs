//! Maven: `modules` of `pom.xml` (`subprojects` since Maven 4), of the modules' own files too, and
//! of the profiles that are active by default.

use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::manifest_file::read;
use super::member_list::MemberList;

const MANIFEST: &str = "pom.xml";

/// The modules of the project in `root`.
pub(super) fn members(root: &Path) -> Option<MemberList> {
    let first = modules(&root.join(MANIFEST))?;
    let mut list = MemberList::new("Maven modules (pom.xml)");
    list.directories.insert(PathBuf::new());

    let mut pending = vec![(root.to_owned(), first)];
    while let Some((directory, modules)) = pending.pop() {
        let modules = match modules {
            Ok(modules) => modules,
            Err(error) => {
                list.remark(error);
                continue;
            }
        };
        for module in modules {
            // A module is a directory, or a file with the name of another `pom.xml`.
            let path = directory.join(&module);
            let (path, manifest) = match path.parent() {
                Some(parent) if path.is_file() => (parent.to_owned(), path.clone()),
                _ => (path.clone(), path.join(MANIFEST)),
            };
            let known = list.directories.len();
            let Some(added) = list.add_directory(root, &path, ".") else {
                continue;
            };
            if list.directories.len() > known
                && let Some(modules) = self::modules(&manifest)
            {
                pending.push((added, modules));
            }
        }
    }
    Some(list)
}

/// The modules that a file lists; `None` if it does not exist.
fn modules(path: &Path) -> Option<Result<Vec<String>, String>> {
    read(path, |text| {
        let document = Document::parse(text)?;
        let project = document.root_element();
        let profiles = children(project, "profiles").flat_map(|all| children(all, "profile"));
        let sections = profiles.filter(is_active_by_default).chain([project]);
        let modules = sections.flat_map(|section| {
            let lists = [("modules", "module"), ("subprojects", "subproject")];
            let names = lists.into_iter().flat_map(move |(list, element)| {
                children(section, list).flat_map(move |list| children(list, element))
            });
            names.filter_map(|name| Some(name.text()?.trim().to_owned()))
        });
        Ok::<_, roxmltree::Error>(modules.collect())
    })
}

fn is_active_by_default(profile: &Node<'_, '_>) -> bool {
    let active = children(*profile, "activation").flat_map(|one| children(one, "activeByDefault"));
    active
        .into_iter()
        .any(|value| value.text().is_some_and(|text| text.trim() == "true"))
}

/// The elements of this name in an element.
fn children<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children()
        .filter(move |child| child.is_element() && child.tag_name().name() == name)
}
