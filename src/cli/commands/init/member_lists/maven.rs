//! Maven: `modules` of `pom.xml` (`subprojects` since Maven 4), of the modules' own files too, and
//! of the profiles that are active without options.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::manifest_file::read;
use super::member_list::MemberList;
use crate::paths::{absolute, escaped};

const MANIFEST: &str = "pom.xml";

/// The modules of the project in `root`.
pub(super) fn members(root: &Path) -> Option<MemberList> {
    let first = modules(&root.join(MANIFEST))?;
    let mut list = MemberList::new("Maven modules (pom.xml)");
    list.directories.insert(PathBuf::new());

    let mut read = BTreeSet::from([root.join(MANIFEST)]);
    let mut pending = vec![(root.to_owned(), first)];
    while let Some((directory, modules)) = pending.pop() {
        let modules = match modules {
            Ok(listed) => {
                for profile in listed.left_out {
                    list.remark(format!(
                        "the modules of the profile `{}` are left out: it is only active with an option",
                        escaped(profile.as_bytes())
                    ));
                }
                listed.modules
            }
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
            let Some(added) = list.add_directory(root, &directory, &path, &module) else {
                continue;
            };
            // A directory can be a module several times, with different files.
            let manifest = absolute(&directory, &manifest);
            if read.insert(manifest.clone())
                && let Some(modules) = self::modules(&manifest)
            {
                pending.push((added, modules));
            }
        }
    }
    Some(list)
}

/// The modules that a file lists.
struct ListedModules {
    modules: Vec<String>,
    /// The profiles whose modules are left out.
    left_out: Vec<String>,
}

/// The modules that a file lists; `None` if the file does not exist.
fn modules(path: &Path) -> Option<Result<ListedModules, String>> {
    read(path, |text| {
        let document = Document::parse(text)?;
        let project = document.root_element();
        let profiles = children(project, "profiles").flat_map(|all| children(all, "profile"));
        let (active, others): (Vec<_>, Vec<_>) = profiles.partition(is_active_without_options);
        let modules = active.into_iter().chain([project]).flat_map(modules_of);
        let left_out = others
            .into_iter()
            .filter(|profile| modules_of(*profile).next().is_some());
        let left_out = left_out.map(|profile| {
            let id = children(profile, "id").next();
            let id = id.and_then(|id| id.text()).unwrap_or("?");
            id.trim().to_owned()
        });
        Ok::<_, roxmltree::Error>(ListedModules {
            modules: modules.collect(),
            left_out: left_out.collect(),
        })
    })
}

/// The modules that a project or a profile lists.
fn modules_of<'a>(section: Node<'a, 'a>) -> impl Iterator<Item = String> + 'a {
    let lists = [("modules", "module"), ("subprojects", "subproject")];
    let names = lists.into_iter().flat_map(move |(list, element)| {
        children(section, list).flat_map(move |list| children(list, element))
    });
    names.filter_map(|name| Some(name.text()?.trim().to_owned()))
}

/// Whether a build without options can use the profile. Conditions on the JDK, the system and files are
/// taken as met: the documents do not depend on them.
fn is_active_without_options(profile: &Node<'_, '_>) -> bool {
    children(*profile, "activation").any(|activation| {
        let mut by_default = children(activation, "activeByDefault");
        if by_default.any(|value| text(value) == "true") {
            return true;
        }
        let conditions = activation.children().filter(Node::is_element);
        let mut conditions = conditions
            .filter(|condition| condition.tag_name().name() != "activeByDefault")
            .peekable();
        conditions.peek().is_some() && !conditions.any(needs_property)
    })
}

/// Whether a condition is only met if a property is set: a `!` before its name, or before its value if
/// there is one, negates it.
fn needs_property(condition: Node<'_, '_>) -> bool {
    let value = children(condition, "value").next();
    let name = children(condition, "name").next();
    let decisive = value.or(name).map(text);
    condition.tag_name().name() == "property"
        && !decisive.is_some_and(|decisive| decisive.starts_with('!'))
}

fn text<'a>(element: Node<'a, '_>) -> &'a str {
    element.text().unwrap_or_default().trim()
}

/// The elements of this name in an element.
fn children<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children()
        .filter(move |child| child.is_element() && child.tag_name().name() == name)
}
