//! Hostile expressions are refused, or evaluated with little stack.

use std::thread;

use pilotfish_rules::{Datum, Facts, MAX_DEPTH, MAX_LIST, Rules};

/// Runs on a quarter of the smallest stack that an interpreter gives its threads (1 MB, under musl).
fn on_a_small_stack(call: impl FnOnce() + Send + 'static) -> bool {
    thread::Builder::new().stack_size(256 << 10).spawn(call).is_ok_and(|thread| thread.join().is_ok())
}

#[test]
fn four_kilobytes_of_any_nesting_are_refused_without_much_stack_of_the_caller() {
    let fits = on_a_small_stack(|| {
        for piece in
            ["(", "[", "!", "-", "1+", "1<", "1?", "1?1:", "f(", "{1:", "a.", "a[", "1 in ", "[1].all(x,", "a b ", "\""]
        {
            let source = piece.repeat(4096 / piece.len());
            assert!(Rules::new(&[("hostile", source.as_str())]).is_err(), "{piece}");
            let closed = format!("{}1", piece.repeat(4095 / piece.len()));
            // Signs in a row cancel out.
            assert!(Rules::new(&[("hostile", closed.as_str())]).is_err() || piece == "!" || piece == "-", "{piece}1");
        }
    });
    assert!(fits);
}

#[test]
fn texts_that_once_took_the_parser_gigabytes_are_refused_at_once() {
    // cel-rust issue 306, fixed in 0.14.3: memory that grew exponentially with the number of repetitions.
    for n in 1..100 {
        let source = format!("{}1", "!!(!!!!!!(!!!!(((((!!(!!(!!!!((".repeat(n));
        assert!(Rules::new(&[("hostile", source.as_str())]).is_err(), "{n}");
    }
}

#[test]
fn the_deepest_rule_is_evaluated_on_a_small_stack_and_one_level_more_is_refused() {
    // A sum of n + 1 ones and its comparison have n + 2 levels.
    let sum = |levels: usize| format!("{}1.0 == {}", "1.0+".repeat(levels - 2), levels - 1);
    let fits = on_a_small_stack(move || {
        let rules = Rules::new(&[("deep", sum(MAX_DEPTH).as_str())]).unwrap();
        assert!(Facts::new(&rules).holds(0));
        let error = Rules::new(&[("deeper", sum(MAX_DEPTH + 1).as_str())]).unwrap_err();
        assert_eq!(error.rule, "an expression of at most 64 levels");
    });
    assert!(fits);
}

#[test]
fn the_longest_list_is_read_and_a_longer_one_violates() {
    let rules = Rules::new(&[("all", "task.features.v.map(x, x + 1.0).all(y, y > 0.0)")]).unwrap();
    let mut facts = Facts::new(&rules);
    let numbers = vec![1.0; MAX_LIST + 1];
    facts.set(0, Datum::Numbers(&numbers[1..]));
    assert!(facts.holds(0));
    facts.set(0, Datum::Numbers(&numbers));
    assert!(!facts.holds(0));
}

#[test]
fn a_value_that_is_taken_back_is_missing() {
    let rules = Rules::new(&[("flag", "module.features.safe")]).unwrap();
    let mut facts = Facts::new(&rules);
    facts.set(0, Datum::Flag(true));
    assert!(facts.holds(0));
    facts.set(0, Datum::Missing);
    assert!(!facts.holds(0));
}
