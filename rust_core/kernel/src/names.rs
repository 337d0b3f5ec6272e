//! Module names as small numbers, so that a decision compares hashes and not texts.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// Names in the order in which they were first learned, and an index by hash.
///
/// The index is a table with open addressing, at most half full: one look-up touches one or two neighbours, where a search in
/// sorted hashes takes a hard-to-foresee turn per halving.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_place: Vec<Arc<str>>,
    /// Hash and place + 1, or 0 where there is nothing; as many as a power of two, or none.
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
        let mut slot = self.first_slot(hash);
        loop {
            let (other, place_after) = self.by_hash.get(slot)?;
            let place = place_after.checked_sub(1)?;
            if *other == hash && self.get(place) == Some(name) {
                return Some(place);
            }
            slot = (slot + 1) & (self.by_hash.len() - 1);
        }
    }

    /// The name at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&str> {
        self.by_place.get(place).map(AsRef::as_ref)
    }

    /// Adds a name that is not known yet and returns its place.
    pub fn push(&mut self, name: &str) -> usize {
        let place = self.by_place.len();
        self.by_place.push(name.into());
        if self.by_hash.len() < 2 * self.by_place.len() {
            self.by_hash = vec![(0, 0); (4 * self.by_place.len()).next_power_of_two()];
            for earlier in 0..place {
                let hash = self.get(earlier).map_or(0, Self::hash);
                self.enter(hash, earlier);
            }
        }
        self.enter(Self::hash(name), place);
        place
    }

    fn first_slot(&self, hash: u64) -> usize {
        // The low bits: which of them a table of fewer than 2³² slots takes does not depend on the width of usize.
        (hash & 0xFFFF_FFFF) as usize & self.by_hash.len().saturating_sub(1)
    }

    /// Puts a place into the first free slot; at least half of them are free.
    fn enter(&mut self, hash: u64, place: usize) {
        let mut slot = self.first_slot(hash);
        while let Some(entry) = self.by_hash.get_mut(slot) {
            if entry.1 == 0 {
                *entry = (hash, place + 1);
                return;
            }
            slot = (slot + 1) & (self.by_hash.len() - 1);
        }
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
