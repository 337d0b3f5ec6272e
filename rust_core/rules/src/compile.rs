//! Expressions to programs: parse, check every name, put a slot where a value of the call is read.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators};
use cel::parser::Parser;

use crate::error::RuleError;
use crate::functions::{FINITE, NEGATE, SIZE, is_known};
use crate::plain::Plain;
use crate::slots::{DOUBLE, Part, ROOTS, Slot, Slots, WHOLE, path_of, text};

/// Rules in one set.
pub const MAX_RULES: usize = 64;
/// Bytes of one expression.
pub const MAX_EXPRESSION_BYTES: usize = 4096;
/// Levels of one expression, so that evaluating it needs little stack.
pub const MAX_DEPTH: usize = 64;

/// Stack for parsing: 4096 bytes of the deepest nesting, before its depth is known.
const PARSER_STACK_BYTES: usize = 64 << 20;
/// The parser's own limit on nesting.
const PARSER_DEPTH: u16 = 64;

/// Names of types, as in `type(x) == int`.
const TYPES: [&str; 7] = ["bool", "int", "uint", "double", "string", "list", "null_type"];

/// Operators and what macros are made of.
const OPERATORS: [&str; 17] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::INDEX,
    operators::NOT_STRICTLY_FALSE,
];

/// Operators that want two numbers of one type.
const ARITHMETIC: [&str; 5] =
    [operators::ADD, operators::SUBSTRACT, operators::MULTIPLY, operators::DIVIDE, operators::MODULO];

/// One compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub id: String,
    pub expression: IdedExpr,
    /// The same, if it can be evaluated without the library.
    pub plain: Option<Plain>,
    pub reads_module: bool,
}

/// A set of compiled rules, in the order in which they were given.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    slots: Vec<Slot>,
}

impl Rules {
    /// Compiles `(id, expression)` pairs.
    ///
    /// # Errors
    ///
    /// More than [`MAX_RULES`] rules; an id that is empty or not the only one of its name; an expression that is
    /// longer than [`MAX_EXPRESSION_BYTES`] or deeper than [`MAX_DEPTH`], is not CEL, reads a name that is not there,
    /// calls an unknown function, or has a comprehension inside a comprehension.
    pub fn new<S: AsRef<str> + Sync>(pairs: &[(S, S)]) -> Result<Self, RuleError> {
        if pairs.len() > MAX_RULES {
            return Err(RuleError::new("number of rules", &pairs.len(), format!("at most {MAX_RULES}")));
        }
        let mut ids = HashSet::new();
        for (place, (id, expression)) in pairs.iter().enumerate() {
            let (id, bytes) = (id.as_ref(), expression.as_ref().len());
            if id.is_empty() {
                return Err(RuleError::new(format!("id of rule {place}"), "''", "a text that is not empty"));
            }
            if !ids.insert(id) {
                return Err(RuleError::new(
                    format!("id of rule {place}"),
                    &format!("'{id}'"),
                    "the only one of its name",
                ));
            }
            if bytes > MAX_EXPRESSION_BYTES {
                let rule = format!("an expression of at most {MAX_EXPRESSION_BYTES} bytes");
                return Err(RuleError::of_rule(id, &format!("{bytes} bytes"), rule));
            }
        }
        // A thread of its own, because the parser recurses deeper than the caller's stack may reach.
        thread::scope(|scope| {
            let compiled = thread::Builder::new()
                .stack_size(PARSER_STACK_BYTES)
                .spawn_scoped(scope, || compile(pairs))
                .map_err(|error| RuleError::new("rules", &error, "compiled on a thread of their own"))?;
            compiled
                .join()
                .unwrap_or_else(|_| Err(RuleError::new("rules", "a panic", "expressions that can be parsed")))
        })
    }

    /// The ids, in the order given.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.id.as_str())
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The values that the rules read; none appears twice.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Whether the rule at `place` can be of different truth for different modules.
    #[must_use]
    pub fn reads_module(&self, place: usize) -> bool {
        self.rules.get(place).is_some_and(|rule| rule.reads_module)
    }

    #[cfg(test)]
    pub(crate) fn of_expression(expression: IdedExpr) -> Self {
        Self {
            rules: vec![Rule { id: "given".to_owned(), expression, plain: None, reads_module: false }],
            slots: Vec::new(),
        }
    }

    pub(crate) fn rule(&self, place: usize) -> Option<&Rule> {
        self.rules.get(place)
    }
}

fn compile<S: AsRef<str>>(pairs: &[(S, S)]) -> Result<Rules, RuleError> {
    let mut slots = Slots::default();
    let mut rules = Vec::with_capacity(pairs.len());
    for (id, source) in pairs {
        let (id, source) = (id.as_ref(), source.as_ref());
        let mut compiler = Compiler { slots: &mut slots, scope: Vec::new(), reads_module: false };
        let expression = parse(source)
            .and_then(|parsed| compiler.rewritten(parsed, 0))
            .map_err(|fault| RuleError::of_rule(id, &format!("{source:?}"), fault))?;
        let reads_module = compiler.reads_module;
        let plain = Plain::of(&expression, &slots.0);
        rules.push(Rule { id: id.to_owned(), expression, plain, reads_module });
    }
    Ok(Rules { rules, slots: slots.0 })
}

fn parse(source: &str) -> Result<IdedExpr, String> {
    let parser = Parser::new().max_recursion_depth(PARSER_DEPTH).error_recovery_limit(1);
    match catch_unwind(AssertUnwindSafe(|| parser.parse(source))) {
        Ok(Ok(parsed)) => Ok(parsed),
        Ok(Err(errors)) => Err(match errors.errors.first() {
            Some(error) if error.msg.contains("Recursion limit") => format!("nested at most {PARSER_DEPTH} deep"),
            Some(error) => format!("a CEL expression: {}:{}: {}", error.pos.0, error.pos.1, error.msg),
            None => "a CEL expression".to_owned(),
        }),
        Err(_) => Err("a CEL expression: the parser gave up".to_owned()),
    }
}

struct Compiler<'s> {
    slots: &'s mut Slots,
    /// Names bound by the comprehension that is being read.
    scope: Vec<String>,
    reads_module: bool,
}

impl Compiler<'_> {
    fn rewritten(&mut self, expr: IdedExpr, depth: usize) -> Result<IdedExpr, String> {
        if depth >= MAX_DEPTH {
            return Err(format!("an expression of at most {MAX_DEPTH} levels"));
        }
        let IdedExpr { id, expr } = expr;
        let below = depth + 1;
        if let Some(read) = self.read(&expr)? {
            return Ok(IdedExpr { id, expr: read });
        }
        let expr = match expr {
            Expr::Ident(name) => self.name(name)?,
            Expr::Select(select) => {
                let operand = Box::new(self.rewritten(*select.operand, below)?);
                Expr::Select(SelectExpr { operand, ..select })
            }
            Expr::Call(call) => Expr::Call(self.call(call, below)?),
            Expr::Comprehension(comprehension) => {
                Expr::Comprehension(Box::new(self.comprehension(*comprehension, below)?))
            }
            Expr::List(mut list) => {
                list.elements = self.all(list.elements, below)?;
                Expr::List(list)
            }
            Expr::Map(mut map) => {
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        return Err("free of messages".to_owned());
                    };
                    entry.key = self.rewritten(std::mem::take(&mut entry.key), below)?;
                    entry.value = self.rewritten(std::mem::take(&mut entry.value), below)?;
                }
                Expr::Map(map)
            }
            Expr::Literal(literal) => Expr::Literal(literal),
            Expr::Struct(message) => return Err(format!("free of messages, but has {}", message.type_name)),
            Expr::Unspecified => return Err("a CEL expression".to_owned()),
        };
        Ok(IdedExpr { id, expr })
    }

    fn all(&mut self, exprs: Vec<IdedExpr>, depth: usize) -> Result<Vec<IdedExpr>, String> {
        exprs.into_iter().map(|expr| self.rewritten(expr, depth)).collect()
    }

    /// The variable for an expression that reads one value of the call, or asks whether it is there.
    fn read(&mut self, expr: &Expr) -> Result<Option<Expr>, String> {
        let (path, is_test) = match expr {
            Expr::Call(call) if call.func_name == operators::IN && call.args.len() == 2 => {
                // `"pages" in task.features` is `has(task.features.pages)`.
                match (text(&call.args[0].expr), path_of(&call.args[1].expr)) {
                    (Some(name), Some(mut path)) if path.len() == 2 && path[1] == "features" => {
                        path.push(name);
                        (Some(path), true)
                    }
                    _ => (None, false),
                }
            }
            Expr::Select(select) if select.test => {
                let path = path_of(&select.operand.expr).map(|mut path| {
                    path.push(&select.field);
                    path
                });
                (path, true)
            }
            other => (path_of(other), false),
        };
        let Some(path) = path else { return Ok(None) };
        let Some(part) = Part::of_path(&path)? else { return Self::whole(&path).map_or(Ok(None), Err) };
        let name = path.last().copied().unwrap_or_default();
        let place = self.slots.place(part, name);
        self.reads_module |= part.is_of_module();
        Ok(self.slots.0.get_mut(place).map(|slot| {
            slot.is_tested |= is_test;
            Expr::Ident(if is_test { slot.presence.clone() } else { slot.variable.clone() })
        }))
    }

    /// What is wrong with a path that stands for a record as a whole.
    fn whole(path: &[&str]) -> Option<String> {
        match path {
            [root] => Some(format!("made of fields, as in {root}.NAME, but reads {root} as a whole")),
            [root, "features"] => Some(format!(
                "made of named features, as in {root}.features.NAME, but reads {root}.features as a whole"
            )),
            _ => None,
        }
    }

    fn name(&self, name: String) -> Result<Expr, String> {
        if self.scope.contains(&name) || TYPES.contains(&name.as_str()) {
            return Ok(Expr::Ident(name));
        }
        Err(format!("made of {}, but reads {name}", ROOTS.join(", ")))
    }

    fn call(&mut self, call: CallExpr, depth: usize) -> Result<CallExpr, String> {
        let CallExpr { func_name, target, args } = call;
        let n_args = args.len();
        let is_negation = func_name == operators::NEGATE;
        let is_operator = is_negation || OPERATORS.contains(&func_name.as_str()) || func_name == operators::IN;
        if !is_operator && !is_known(&func_name, target.is_some(), n_args) {
            return Err(format!(
                "made of known functions, but calls {func_name} with {n_args} argument{}",
                if n_args == 1 { "" } else { "s" }
            ));
        }
        let mut args = self.all(args, depth)?;
        let target = target.map(|target| self.rewritten(*target, depth).map(Box::new)).transpose()?;
        if is_arithmetic(&func_name) && self.mixes(&args) {
            return Err("free of arithmetic between whole numbers and doubles: write 2.0 or double(...)".to_owned());
        }
        if func_name == "size" || is_negation {
            let func_name = if is_negation { NEGATE } else { SIZE }.to_owned();
            args.extend(target.map(|target| *target));
            return Ok(CallExpr { func_name, target: None, args });
        }
        let call = CallExpr { func_name, target, args };
        let may_be_infinite = call.func_name == "double" || is_arithmetic(&call.func_name);
        if !may_be_infinite || call.args.iter().any(|arg| self.is_whole(&arg.expr) || matches!(arg.expr, Expr::List(_)))
        {
            return Ok(call);
        }
        let checked = IdedExpr { id: 0, expr: Expr::Call(call) };
        Ok(CallExpr { func_name: FINITE.to_owned(), target: None, args: vec![checked] })
    }

    /// Whether a whole number stands beside what can never be one: the language has no such arithmetic, so the rule
    /// would be violated for ever.
    fn mixes(&self, args: &[IdedExpr]) -> bool {
        args.iter().any(|arg| self.is_whole(&arg.expr)) && args.iter().any(|arg| self.is_never_whole(&arg.expr))
    }

    fn is_whole(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Literal(LiteralValue::Int(_)) => true,
            Expr::Call(call) if call.target.is_none() => match call.func_name.as_str() {
                "int" | SIZE => true,
                name => (is_arithmetic(name) || name == FINITE) && call.args.iter().all(|arg| self.is_whole(&arg.expr)),
            },
            _ => self.slot(expr).is_some_and(|slot| WHOLE.contains(&slot.name.as_str()) && !slot.part.is_feature()),
        }
    }

    fn is_never_whole(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Literal(LiteralValue::Double(_)) => true,
            Expr::Call(call) if call.target.is_none() => match call.func_name.as_str() {
                "double" => true,
                name => {
                    (is_arithmetic(name) || name == FINITE)
                        && call.args.iter().any(|arg| self.is_never_whole(&arg.expr))
                }
            },
            _ => self.slot(expr).is_some_and(|slot| DOUBLE.contains(&slot.name.as_str()) || slot.part.is_feature()),
        }
    }

    fn slot(&self, expr: &Expr) -> Option<&Slot> {
        let Expr::Ident(name) = expr else { return None };
        self.slots.0.iter().find(|slot| slot.variable == *name)
    }

    fn comprehension(&mut self, read: ComprehensionExpr, depth: usize) -> Result<ComprehensionExpr, String> {
        let name = read.iter_var.as_str();
        if !self.scope.is_empty() {
            return Err("free of comprehensions inside comprehensions".to_owned());
        }
        if ROOTS.contains(&name) || TYPES.contains(&name) {
            return Err(format!("free of a variable of its own named {name}"));
        }
        let iter_range = self.rewritten(read.iter_range, depth)?;
        let accu_init = self.rewritten(read.accu_init, depth)?;
        self.scope = vec![read.iter_var.clone(), read.accu_var.clone()];
        let inside = self.inside([read.loop_cond, read.loop_step, read.result], depth);
        self.scope.clear();
        let [loop_cond, loop_step, result] = inside?;
        Ok(ComprehensionExpr { iter_range, accu_init, loop_cond, loop_step, result, ..read })
    }

    fn inside(&mut self, [cond, step, result]: [IdedExpr; 3], depth: usize) -> Result<[IdedExpr; 3], String> {
        Ok([self.rewritten(cond, depth)?, self.rewritten(step, depth)?, self.rewritten(result, depth)?])
    }
}

fn is_arithmetic(name: &str) -> bool {
    ARITHMETIC.contains(&name) || name == NEGATE
}
