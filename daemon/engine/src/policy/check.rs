//! Conditions as types see them: names become fields, and what could never mean anything is a mistake with its place.
//!
//! CEL itself would take a misspelt field for false. Here a condition is checked against the schema before it is taken,
//! so that every rule says what it seems to say.

use super::schema::{FIELDS, Field, Needs, Type, nearest};
use super::syntax::{self, Expr, Kind, Operator};
use super::tokens::Mistake;

/// A condition, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    Value(Constant),
    Field(Field),
    /// Whether a field is given.
    Given(Field),
    Not(Box<Term>),
    And(Vec<Term>),
    Or(Vec<Term>),
    Compare(Comparison, Box<Term>, Box<Term>),
    In(Box<Term>, Vec<Constant>),
    Arithmetic(Arithmetic, Box<Term>, Box<Term>),
    Negate(Box<Term>),
    Choice(Box<[Term; 3]>),
    Test(Test, Box<Term>, Box<Term>),
    /// Characters of a text.
    Size(Box<Term>),
}

/// A value that is written down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// How a number is made of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What is asked of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Contains,
    StartsWith,
    EndsWith,
}

/// Reads and checks a condition.
pub(crate) fn condition(text: &str) -> Result<Term, Mistake> {
    let expr = syntax::parse(text)?;
    let (term, kind) = term(&expr)?;
    match kind {
        Type::Bool => Ok(term),
        other => Err(Mistake::at(
            expr.at,
            format!("the condition is a {}; it must be true or false", other.name()),
        )),
    }
}

impl Term {
    /// What it depends on.
    pub(crate) fn needs(&self) -> Needs {
        let all = |terms: &[Term]| terms.iter().fold(Needs::default(), |needs, term| needs | term.needs());
        match self {
            Self::Value(_) => Needs::default(),
            Self::Field(field) | Self::Given(field) => field.spec().needs,
            Self::Not(inner) | Self::Negate(inner) | Self::Size(inner) | Self::In(inner, _) => inner.needs(),
            Self::And(parts) | Self::Or(parts) => all(parts),
            Self::Compare(_, a, b) | Self::Arithmetic(_, a, b) | Self::Test(_, a, b) => a.needs() | b.needs(),
            Self::Choice(parts) => all(&**parts),
        }
    }
}

fn term(expr: &Expr) -> Result<(Term, Type), Mistake> {
    Ok(match &expr.kind {
        Kind::Bool(value) => (Term::Value(Constant::Bool(*value)), Type::Bool),
        Kind::Int(number) => (Term::Value(Constant::Int(*number)), Type::Int),
        Kind::Double(number) => (Term::Value(Constant::Double(*number)), Type::Double),
        Kind::Text(text) => (Term::Value(Constant::Text(text.clone())), Type::Text),
        Kind::Name(name) => {
            let field = field(name, expr.at)?;
            (Term::Field(field), field.spec().kind)
        }
        Kind::List(_) => return Err(Mistake::at(expr.at, "a list can only stand behind `in`")),
        Kind::Not(inner) => (Term::Not(Box::new(truth(inner, "!")?)), Type::Bool),
        Kind::And(parts) => (Term::And(truths(parts, "&&")?), Type::Bool),
        Kind::Or(parts) => (Term::Or(truths(parts, "||")?), Type::Bool),
        Kind::Negate(inner) => match term(inner)? {
            (Term::Value(Constant::Int(number)), kind) => (Term::Value(Constant::Int(-number)), kind),
            (Term::Value(Constant::Double(number)), kind) => (Term::Value(Constant::Double(-number)), kind),
            (inner, kind) if kind.is_number() => (Term::Negate(Box::new(inner)), kind),
            (_, kind) => {
                return Err(Mistake::at(expr.at, format!("- needs a number, not a {}", kind.name())));
            }
        },
        Kind::Binary(Operator::In, left, right) => membership(left, right)?,
        Kind::Binary(operator, left, right) => binary(expr.at, *operator, left, right)?,
        Kind::Choice(parts) => {
            let [condition, then, otherwise] = &**parts;
            let condition = truth(condition, "?")?;
            let ((then, kind), (otherwise_term, other)) = (term(then)?, term(otherwise)?);
            let kind = match (kind, other) {
                (a, b) if a == b => a,
                (a, b) if a.is_number() && b.is_number() => Type::Double,
                (a, b) => {
                    let reason =
                        format!("both choices must be of one type, not {} and {}", a.name(), b.name());
                    return Err(Mistake::at(otherwise.at, reason));
                }
            };
            (Term::Choice(Box::new([condition, then, otherwise_term])), kind)
        }
        Kind::Call(name, args) => call(expr.at, name, args)?,
    })
}

fn field(name: &str, at: usize) -> Result<Field, Mistake> {
    Field::find(name).ok_or_else(|| {
        let hint = match nearest(name, FIELDS.iter().map(|spec| spec.name)) {
            Some(near) => format!("; did you mean {near}?"),
            None => "; docs/policy.md lists all of order, line, node and time".to_owned(),
        };
        Mistake::at(at, format!("there is no field {name}{hint}"))
    })
}

fn truth(expr: &Expr, operator: &str) -> Result<Term, Mistake> {
    match term(expr)? {
        (term, Type::Bool) => Ok(term),
        (_, kind) => {
            Err(Mistake::at(expr.at, format!("{operator} needs true or false here, not a {}", kind.name())))
        }
    }
}

fn truths(parts: &[Expr], operator: &str) -> Result<Vec<Term>, Mistake> {
    parts.iter().map(|part| truth(part, operator)).collect()
}

fn membership(left: &Expr, right: &Expr) -> Result<(Term, Type), Mistake> {
    let (asked, kind) = term(left)?;
    let Kind::List(list) = &right.kind else {
        return Err(Mistake::at(right.at, "behind `in` stands a list, like [\"dc\", \"store\"]"));
    };
    let mut constants = Vec::with_capacity(list.len());
    for element in list {
        let (Term::Value(constant), of) = term(element)? else {
            return Err(Mistake::at(element.at, "a list holds plain values, no fields"));
        };
        if of != kind && !(of.is_number() && kind.is_number()) {
            let reason = format!("a {} is never among values of another type: {}", kind.name(), of.name());
            return Err(Mistake::at(element.at, reason));
        }
        check_value(&asked, &constant, element.at)?;
        constants.push(constant);
    }
    Ok((Term::In(Box::new(asked), constants), Type::Bool))
}

fn binary(at: usize, operator: Operator, left: &Expr, right: &Expr) -> Result<(Term, Type), Mistake> {
    use Operator::{
        Add, AtLeast, AtMost, Divide, Equal, In, Less, More, Multiply, Remainder, Subtract, Unequal,
    };
    let ((a, kind), (b, other)) = (term(left)?, term(right)?);
    let numbers = kind.is_number() && other.is_number();
    let mismatch = |what: &str| {
        let reason = format!("{} needs {what}, not {} and {}", operator.text(), kind.name(), other.name());
        Err(Mistake::at(at, reason))
    };
    let compare =
        |comparison| Ok((Term::Compare(comparison, Box::new(a.clone()), Box::new(b.clone())), Type::Bool));
    let arithmetic = |arithmetic| {
        let is_int = kind == Type::Int && other == Type::Int;
        let result = if is_int { Type::Int } else { Type::Double };
        Ok((Term::Arithmetic(arithmetic, Box::new(a.clone()), Box::new(b.clone())), result))
    };
    match operator {
        Equal | Unequal if kind != other && !numbers => mismatch("two values of one type"),
        Less | AtMost | More | AtLeast if !numbers && (kind, other) != (Type::Text, Type::Text) => {
            mismatch("two numbers or two strings")
        }
        Remainder if (kind, other) != (Type::Int, Type::Int) => mismatch("two ints"),
        Add | Subtract | Multiply | Divide if !numbers => mismatch("two numbers"),
        Equal | Unequal => {
            for (field, constant, place) in [(&a, &b, right.at), (&b, &a, left.at)] {
                if let Term::Value(constant) = constant {
                    check_value(field, constant, place)?;
                }
            }
            compare(if operator == Equal { Comparison::Equal } else { Comparison::Unequal })
        }
        Less => compare(Comparison::Less),
        AtMost => compare(Comparison::AtMost),
        More => compare(Comparison::More),
        AtLeast => compare(Comparison::AtLeast),
        Add => arithmetic(Arithmetic::Add),
        Subtract => arithmetic(Arithmetic::Subtract),
        Multiply => arithmetic(Arithmetic::Multiply),
        Divide => arithmetic(Arithmetic::Divide),
        Remainder => arithmetic(Arithmetic::Remainder),
        In => unreachable!("`in` has a room of its own"),
    }
}

/// A text that a field can never have is a slip.
fn check_value(asked: &Term, constant: &Constant, at: usize) -> Result<(), Mistake> {
    let (Term::Field(field), Constant::Text(text)) = (asked, constant) else { return Ok(()) };
    let spec = field.spec();
    if spec.values.is_empty() || spec.values.contains(&text.as_str()) {
        return Ok(());
    }
    let hint = nearest(text, spec.values.iter().copied()).map(|near| format!("; did you mean {near:?}?"));
    let reason = format!(
        "{} is never {text:?}; it is one of {}{}",
        spec.name,
        spec.values.join(", "),
        hint.unwrap_or_default()
    );
    Err(Mistake::at(at, reason))
}

fn call(at: usize, name: &str, args: &[Expr]) -> Result<(Term, Type), Mistake> {
    let test = match name {
        "contains" => Test::Contains,
        "startsWith" => Test::StartsWith,
        "endsWith" => Test::EndsWith,
        "size" => {
            let [of] = args else { return Err(Mistake::at(at, "size takes one text: size(order.postal)")) };
            return match term(of)? {
                (of, Type::Text) => Ok((Term::Size(Box::new(of)), Type::Int)),
                (_, kind) => Err(Mistake::at(of.at, format!("size takes a string, not a {}", kind.name()))),
            };
        }
        "has" => {
            let [Expr { kind: Kind::Name(name), at }] = args else {
                return Err(Mistake::at(at, "has takes one field: has(order.value)"));
            };
            return Ok((Term::Given(field(name, *at)?), Type::Bool));
        }
        "all" | "exists" | "exists_one" | "map" | "filter" => {
            let reason = format!(
                "{name} is a macro over lists, and policies have none; write a rule over line instead"
            );
            return Err(Mistake::at(at, reason));
        }
        _ => {
            let known = ["contains", "startsWith", "endsWith", "size", "has"];
            let hint = nearest(name, known.into_iter()).map(|near| format!("; did you mean {near}?"));
            let hint = hint.unwrap_or_else(|| format!("; there are {}", known.join(", ")));
            return Err(Mistake::at(at, format!("there is no function {name}{hint}")));
        }
    };
    let [of, part] = args else {
        return Err(Mistake::at(at, format!("{name} is asked of a text: order.postal.{name}(\"9\")")));
    };
    let text = |expr: &Expr| match term(expr)? {
        (term, Type::Text) => Ok(Box::new(term)),
        (_, kind) => Err(Mistake::at(expr.at, format!("{name} needs a string, not a {}", kind.name()))),
    };
    Ok((Term::Test(test, text(of)?, text(part)?), Type::Bool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_that_cel_would_take_for_false_are_found() {
        for (text, at, part) in [
            ("node.knd == \"dc\"", 0, "did you mean node.kind?"),
            ("customer.tier == 1", 0, "there is no field"),
            ("true && node.kind == \"sotre\"", 21, "did you mean \"store\"?"),
            ("node.kind in [\"dc\", \"shop\"]", 20, "is one of dc, store"),
            ("order.value == \"50\"", 0, "two values of one type"),
            ("order.value", 0, "must be true or false"),
            ("order.lines && true", 0, "needs true or false"),
            ("!order.units", 1, "needs true or false"),
            ("node.kind > 3", 0, "two numbers or two strings"),
            ("order.value % 2 == 0", 0, "two ints"),
            ("-node.kind == 1", 0, "- needs a number"),
            ("node.code + 'x' == 'y'", 0, "two numbers"),
            ("line.sku in 'abc'", 12, "a list"),
            ("line.sku in [line.group]", 13, "plain values"),
            ("line.sku in [1]", 13, "another type"),
            ("[1] == [1]", 0, "behind `in`"),
            ("order.lines.exists(l, true)", 0, "macro"),
            ("node.code.startswith('a')", 0, "did you mean startsWith?"),
            ("node.code.matches('a')", 0, "there are"),
            ("size(3) > 1", 5, "takes a string"),
            ("has(3)", 0, "takes one field"),
            ("has(order.valu)", 4, "did you mean order.value?"),
            ("order.cold ? 1 : 'a'", 17, "one type"),
        ] {
            let mistake = condition(text).expect_err(text);
            assert_eq!(mistake.at, at, "{text}: {mistake:?}");
            assert!(mistake.reason.contains(part), "{text}: {}", mistake.reason);
        }
    }

    #[test]
    fn what_a_condition_depends_on_is_known() {
        let needs = |text: &str| condition(text).expect(text).needs();
        assert_eq!(needs("node.kind == 'dc' && !node.hazmat"), Needs::NODE);
        assert_eq!(needs("order.value > 50 && time.hour < 9"), Needs::ORDER);
        assert_eq!(needs("line.cold || node.cold"), Needs::LINE | Needs::NODE);
        assert!(needs("node.miles > 10").has(Needs::LANE) && !needs("1 < 2").has(Needs::ORDER));
    }
}
