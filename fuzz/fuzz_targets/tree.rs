//! Checks trees with arbitrary bytes: decoding either fails or is lossless, and an edit leaves all
//! other entries unchanged, including unusual orders, modes and names.
#![no_main]

use std::collections::{BTreeMap, HashMap};

use bstr::BString;
use fractary_codex::internals::{Edit, TreeEntry, TreeStore, decode, edit, encode, listing};
use fractary_codex::object::{Kind, Mode, ObjectId, hash};
use fractary_codex::outcome::TreeError;
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Memory(HashMap<ObjectId, Vec<u8>>);

impl TreeStore for Memory {
    fn read(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
        self.0.get(&id).cloned().ok_or(TreeError::Missing(id))
    }

    fn write(&mut self, data: Vec<u8>, _: Option<ObjectId>) -> ObjectId {
        let id = hash(Kind::Tree, &data);
        self.0.insert(id, data);
        id
    }
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>, Vec<(u8, bool)>)| {
    let (outer, inner, edits) = input;
    for data in [&outer, &inner] {
        if let Some(entries) = decode(data) {
            assert_eq!(encode(&entries), *data);
        }
    }
    let mut memory = Memory::default();
    let inner = memory.write(inner, None);
    // The inner tree is the entry `d` of the outer one, so that edits pass through both.
    let mut outer = outer;
    outer.extend_from_slice(b"40000 d\0");
    outer.extend_from_slice(&inner.0);
    let root = memory.write(outer, None);
    let blob = hash(Kind::Blob, b"");
    let name = |byte: u8| {
        BString::from(format!("{}{}", if byte & 1 == 0 { "" } else { "d/" }, char::from(b'a' + byte / 2 % 6)))
    };
    let edits: BTreeMap<BString, Edit> = edits
        .iter()
        .map(|(byte, put)| (name(*byte), put.then_some((Mode::File, blob))))
        .filter(|(n, _)| n != "d")
        .collect();
    let _ = listing::list_all(&|id| memory.read(id), root);
    let before = decode(&memory.0[&root]);
    let Ok(Some(after)) = edit(&mut memory, Some(root), &edits) else { return };
    let after = decode(&memory.0[&after]).expect("a written tree can be decoded");
    let unchanged = |entries: &[TreeEntry]| -> Vec<TreeEntry> {
        let is_edited = |entry: &TreeEntry| entry.name == "d" || edits.contains_key(&entry.name);
        entries.iter().filter(|entry| !is_edited(entry)).cloned().collect()
    };
    assert_eq!(unchanged(&before.expect("an edited tree can be decoded")), unchanged(&after));
});
