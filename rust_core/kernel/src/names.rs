//! Module names as small numbers, so that a decision compares hashes and not texts.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// Names in the order in which they were first learned, and an index by hash.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_place: Vec<Arc<str>>,
    by_hash: Vec<(u64, usize)>,
}

impl Names {
    /// The hash by which names are found.
    #[must_use]
    pub fn hash(name: &str) -> u64 {
        xxh3_64(name.as_bytes())
    }

    /// The place of a name, if it is known.
    #[must_use]
    pub fn find(&self, hash: u64, name: &str) -> Option<usize> {
        let start = self.by_hash.partition_point(|(other, _)| *other < hash);
        let same_hash = self.by_hash.get(start..)?.iter().take_while(|(other, _)| *other == hash);
        same_hash.map(|(_, place)| *place).find(|place| self.get(*place) == Some(name))
    }

    /// The name at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&str> {
        self.by_place.get(place).map(AsRef::as_ref)
    }

    /// Adds a name that is not known yet and returns its place.
    pub fn push(&mut self, name: &str) -> usize {
        let (hash, place) = (Self::hash(name), self.by_place.len());
        self.by_place.push(name.into());
        let at = self.by_hash.partition_point(|entry| *entry < (hash, place));
        self.by_hash.insert(at, (hash, place));
        place
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_place.len()
    }

    /// Places in the order of their names: the one order of everything that is written or summed over modules.
    #[must_use]
    pub fn sorted(&self) -> Vec<(usize, &str)> {
        let mut places: Vec<_> = self.by_place.iter().map(AsRef::as_ref).enumerate().collect();
        places.sort_unstable_by_key(|(_, name)| *name);
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_they_were_put() {
        let mut names = Names::default();
        for i in 0..100 {
            assert_eq!(names.push(&format!("module {i}")), i);
        }
        for i in 0..100 {
            let name = format!("module {i}");
            assert_eq!(names.find(Names::hash(&name), &name), Some(i));
        }
        assert_eq!(names.find(Names::hash("other"), "other"), None);
        assert_eq!(names.sorted()[1], (1, "module 1"));
        assert_eq!(names.sorted()[2], (10, "module 10"));
    }

    #[test]
    fn a_name_with_the_same_hash_is_still_another_name() {
        let mut names = Names::default();
        names.push("a");
        assert_eq!(names.find(Names::hash("a"), "b"), None);
    }
}
