//! The functions that expressions may call.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelDouble, CelInt, CelString, DYN_TYPE};
use cel::common::value::Val;
use cel::{Env, ExecutionError};

/// What `size` becomes: the crate's own counts the bytes of a text, the language its code points.
pub const SIZE: &str = "@size";
/// What a minus sign becomes: the crate's own wraps or panics at the least whole number.
pub const NEGATE: &str = "@negate";
/// What stands around arithmetic: a double that is not finite is an error, though the language has infinities. A ratio
/// whose divisor is missing would otherwise exceed every bound.
pub const FINITE: &str = "@finite";

/// Functions of one argument.
const GLOBAL: [&str; 7] = ["size", "int", "uint", "double", "string", "type", "dyn"];
/// Functions called on a text with one argument.
const MEMBER: [&str; 3] = ["contains", "startsWith", "endsWith"];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // Refused only if the name were taken, and no name of the standard library has this letter.
    let _ = env.add_overload(SIZE, "size_of_any", vec![DYN_TYPE], size);
    let _ = env.add_overload(FINITE, "finite_any", vec![DYN_TYPE], finite);
    let _ = env.add_overload(NEGATE, "negate_any", vec![DYN_TYPE], negate);
    Arc::new(env)
});

/// The one environment of all rules.
pub fn env() -> Arc<Env> {
    Arc::clone(&ENV)
}

/// Whether an expression may call this function so.
pub fn is_known(name: &str, is_member: bool, n_args: usize) -> bool {
    if is_member {
        (MEMBER.contains(&name) && n_args == 1) || (name == "size" && n_args == 0)
    } else {
        GLOBAL.contains(&name) && n_args == 1
    }
}

#[allow(clippy::needless_pass_by_value)] // the type of the library's functions
fn size(args: Vec<Cow<'_, dyn Val>>) -> Result<Cow<'_, dyn Val>, ExecutionError> {
    let value = args.first().ok_or(ExecutionError::NoSuchOverload)?;
    let size = match (value.downcast_ref::<CelString>(), value.as_sizer()) {
        (Some(text), _) => CelInt::from(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)),
        (None, Some(sizer)) => sizer.size(),
        (None, None) => return Err(ExecutionError::NoSuchOverload),
    };
    Ok(Cow::<dyn Val>::Owned(Box::new(size)))
}

#[allow(clippy::needless_pass_by_value)] // the type of the library's functions
fn negate(args: Vec<Cow<'_, dyn Val>>) -> Result<Cow<'_, dyn Val>, ExecutionError> {
    let value = args.first().ok_or(ExecutionError::NoSuchOverload)?;
    let negated: Box<dyn Val> = match (value.downcast_ref::<CelInt>(), value.downcast_ref::<CelDouble>()) {
        (Some(int), _) => Box::new(CelInt::from(int.inner().checked_neg().ok_or(ExecutionError::NoSuchOverload)?)),
        (None, Some(double)) => Box::new(CelDouble::from(-double.inner())),
        (None, None) => return Err(ExecutionError::NoSuchOverload),
    };
    Ok(Cow::Owned(negated))
}

fn finite(args: Vec<Cow<'_, dyn Val>>) -> Result<Cow<'_, dyn Val>, ExecutionError> {
    let value = args.into_iter().next().ok_or(ExecutionError::NoSuchOverload)?;
    match value.downcast_ref::<CelDouble>() {
        Some(double) if !double.inner().is_finite() => Err(ExecutionError::NoSuchOverload),
        _ => Ok(value),
    }
}
