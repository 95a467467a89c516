//! Conditions as text: a reader of the part of CEL, the Common Expression Language, that policies are written in.
//!
//! It knows the form of conditions and nothing of what their names mean; `check` does. Text and nesting are bounded, so
//! that no input makes it slow or deep.

use super::tokens::{Mistake, Token, Tokens};

/// Longest condition, in bytes.
pub(crate) const CONDITION_LEN_MAX: usize = 2_048;
/// Deepest nesting of a condition, and longest chain of one operator.
const DEPTH_MAX: u32 = 48;

/// An expression and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expr {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<Expr>),
    /// A name with its dots.
    Name(String),
    /// A call of a function, or of a method with its target first.
    Call(String, Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Choice(Box<[Expr; 3]>),
}

/// Operators with two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// As it is written.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// Reads a condition.
pub(crate) fn parse(text: &str) -> Result<Expr, Mistake> {
    if text.len() > CONDITION_LEN_MAX {
        let reason =
            format!("the condition is longer than {CONDITION_LEN_MAX} bytes; part it into several rules");
        return Err(Mistake::at(0, reason));
    }
    let mut parser = Parser { tokens: Tokens::of(text)?, depth: 0 };
    let expr = parser.choice()?;
    match parser.tokens.token {
        Token::End => Ok(expr),
        _ => Err(parser.tokens.unexpected("an operator or the end of the condition")),
    }
}

const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

struct Parser<'a> {
    tokens: Tokens<'a>,
    depth: u32,
}

impl Parser<'_> {
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        if self.depth == DEPTH_MAX {
            let reason =
                format!("the condition is nested deeper than {DEPTH_MAX}; part it into several rules");
            return Err(Mistake::at(self.tokens.begins, reason));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn choice(&mut self) -> Result<Expr, Mistake> {
        self.nested(|parser| {
            let condition = parser.either()?;
            if !parser.tokens.take("?")? {
                return Ok(condition);
            }
            let then = parser.either()?;
            parser.tokens.expect(":")?;
            let otherwise = parser.choice()?;
            let at = condition.at;
            Ok(Expr { at, kind: Kind::Choice(Box::new([condition, then, otherwise])) })
        })
    }

    fn either(&mut self) -> Result<Expr, Mistake> {
        let (at, mut parts) = (self.tokens.begins, vec![self.both()?]);
        while self.tokens.take("||")? {
            parts.push(self.both()?);
        }
        Ok(joined(at, parts, Kind::Or))
    }

    fn both(&mut self) -> Result<Expr, Mistake> {
        let (at, mut parts) = (self.tokens.begins, vec![self.relation()?]);
        while self.tokens.take("&&")? {
            parts.push(self.relation()?);
        }
        Ok(joined(at, parts, Kind::And))
    }

    fn relation(&mut self) -> Result<Expr, Mistake> {
        use Operator::{AtLeast, AtMost, Equal, In, Less, More, Unequal};
        self.chain(&[Equal, Unequal, AtMost, AtLeast, Less, More, In], Self::sum)
    }

    fn sum(&mut self) -> Result<Expr, Mistake> {
        self.chain(&[Operator::Add, Operator::Subtract], Self::product)
    }

    fn product(&mut self) -> Result<Expr, Mistake> {
        self.chain(&[Operator::Multiply, Operator::Divide, Operator::Remainder], Self::unary)
    }

    /// One level of operators, each binding to the left.
    fn chain(
        &mut self,
        operators: &[Operator],
        side: fn(&mut Self) -> Result<Expr, Mistake>,
    ) -> Result<Expr, Mistake> {
        let mut left = side(self)?;
        for _ in 0..DEPTH_MAX {
            let found = operators.iter().find(|operator| match &self.tokens.token {
                Token::Sign(sign) => *sign == operator.text(),
                Token::Name(name) => name == operator.text(),
                _ => false,
            });
            let Some(operator) = found else { return Ok(left) };
            self.tokens.advance()?;
            let right = side(self)?;
            let kind = Kind::Binary(*operator, Box::new(left), Box::new(right));
            left = Expr { at: self.begin_of(&kind), kind };
        }
        Err(Mistake::at(
            self.tokens.begins,
            format!("more than {DEPTH_MAX} operators in a row; part the condition"),
        ))
    }

    fn begin_of(&self, kind: &Kind) -> usize {
        if let Kind::Binary(_, left, _) = kind { left.at } else { self.tokens.begins }
    }

    fn unary(&mut self) -> Result<Expr, Mistake> {
        let at = self.tokens.begins;
        if self.tokens.take("!")? {
            let inner = self.nested(Self::unary)?;
            return Ok(Expr { at, kind: Kind::Not(Box::new(inner)) });
        }
        if self.tokens.take("-")? {
            let inner = self.nested(Self::unary)?;
            return Ok(Expr { at, kind: Kind::Negate(Box::new(inner)) });
        }
        self.member()
    }

    fn member(&mut self) -> Result<Expr, Mistake> {
        let mut expr = self.primary()?;
        while self.tokens.is(".") {
            self.tokens.advance()?;
            let begins = self.tokens.begins;
            let Token::Name(name) = self.tokens.token.clone() else {
                return Err(self.tokens.unexpected("a name"));
            };
            self.tokens.advance()?;
            let at = expr.at;
            if self.tokens.take("(")? {
                let mut args = vec![expr];
                args.extend(self.list_until(")")?);
                expr = Expr { at, kind: Kind::Call(name, args) };
            } else if let Kind::Name(path) = &mut expr.kind {
                path.push('.');
                path.push_str(&name);
            } else {
                return Err(Mistake::at(begins, "only order, line, node and time have fields"));
            }
        }
        if self.tokens.is("[") {
            return Err(self.tokens.unexpected("no index: lists can only be asked with `in`"));
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, Mistake> {
        let at = self.tokens.begins;
        let kind = match self.tokens.token.clone() {
            Token::Int(number) => Kind::Int(number),
            Token::Double(number) => Kind::Double(number),
            Token::Text(text) => Kind::Text(text),
            Token::Sign("(") => {
                self.tokens.advance()?;
                let inner = self.choice()?;
                self.tokens.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => {
                self.tokens.advance()?;
                return Ok(Expr { at, kind: Kind::List(self.list_until("]")?) });
            }
            Token::Name(name) => match name.as_str() {
                "true" => Kind::Bool(true),
                "false" => Kind::Bool(false),
                "null" => {
                    return Err(Mistake::at(
                        at,
                        "there is no null here; ask has(order.value) whether a value is given",
                    ));
                }
                "in" => return Err(self.tokens.unexpected("a value")),
                reserved if RESERVED.contains(&reserved) => {
                    return Err(Mistake::at(at, format!("{reserved} is a reserved word of CEL")));
                }
                _ => {
                    self.tokens.advance()?;
                    if self.tokens.take("(")? {
                        return Ok(Expr { at, kind: Kind::Call(name, self.list_until(")")?) });
                    }
                    return Ok(Expr { at, kind: Kind::Name(name) });
                }
            },
            Token::End | Token::Sign(_) => return Err(self.tokens.unexpected("a value")),
        };
        self.tokens.advance()?;
        Ok(Expr { at, kind })
    }

    fn list_until(&mut self, end: &str) -> Result<Vec<Expr>, Mistake> {
        let mut list = Vec::new();
        while !self.tokens.take(end)? {
            if !list.is_empty() {
                self.tokens.expect(",")?;
            }
            list.push(self.choice()?);
        }
        Ok(list)
    }
}

fn joined(at: usize, mut parts: Vec<Expr>, kind: fn(Vec<Expr>) -> Kind) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => Expr { at, kind: kind(parts) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An expression with all its brackets, to see how it binds.
    fn shown(expr: &Expr) -> String {
        let all = |parts: &[Expr], with: &str| parts.iter().map(shown).collect::<Vec<_>>().join(with);
        match &expr.kind {
            Kind::Bool(value) => value.to_string(),
            Kind::Int(number) => number.to_string(),
            Kind::Double(number) => format!("{number:?}"),
            Kind::Text(text) => format!("{text:?}"),
            Kind::List(list) => format!("[{}]", all(list, ",")),
            Kind::Name(name) => name.clone(),
            Kind::Call(name, args) => format!("{name}({})", all(args, ",")),
            Kind::Not(inner) => format!("!{}", shown(inner)),
            Kind::Negate(inner) => format!("-{}", shown(inner)),
            Kind::And(parts) => format!("({})", all(parts, "&&")),
            Kind::Or(parts) => format!("({})", all(parts, "||")),
            Kind::Binary(operator, left, right) => {
                format!("({}{}{})", shown(left), operator.text(), shown(right))
            }
            Kind::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                format!("({}?{}:{})", shown(condition), shown(then), shown(otherwise))
            }
        }
    }

    #[test]
    fn operators_bind_as_in_cel() {
        for (text, bound) in [
            ("a.b == 1 || c && !d", "((a.b==1)||(c&&!d))"),
            ("1 + 2 * 3 - -x % 4 >= 5", "(((1+(2*3))-(-x%4))>=5)"),
            ("a ? b : c ? d : e", "(a?b:(c?d:e))"),
            ("x in ['a', \"b\"] && y", "((xin[\"a\",\"b\"])&&y)"),
            ("(a || b) && c", "((a||b)&&c)"),
            ("a.b.startsWith('x') // why\n && has(c.d)", "(startsWith(a.b,\"x\")&&has(c.d))"),
            ("0x1F < 1.5e3", "(31<1500.0)"),
            (".5 + 2.0", "(0.5+2.0)"),
            (r#""\u00e9\x41\101\n" == r'\n'"#, r#"("éAA\n"=="\\n")"#),
            ("'''it's''' != ''", "(\"it's\"!=\"\")"),
        ] {
            assert_eq!(parse(text).map(|expr| shown(&expr)).as_deref(), Ok(bound), "{text}");
        }
    }

    #[test]
    fn mistakes_name_their_place() {
        for (text, at, part) in [
            ("", 0, "ends here"),
            ("a = 1", 2, "write =="),
            ("a ==", 4, "expected a value"),
            ("(a || b", 7, "expected \")\""),
            ("a b", 2, "b stands here"),
            ("a == 'x", 5, "no end"),
            ("a == null", 5, "has(order.value)"),
            ("12abc", 0, "no number"),
            ("99999999999999999999", 0, "no number"),
            ("x[0] == 1", 1, "no index"),
            ("'a'.b", 4, "only order, line, node and time"),
            ("for == 1", 0, "reserved"),
            (r"'\q'", 1, "no escape"),
            ("a é", 2, "means nothing"),
        ] {
            let mistake = parse(text).expect_err(text);
            assert_eq!(mistake.at, at, "{text}: {mistake:?}");
            assert!(mistake.reason.contains(part), "{text}: {}", mistake.reason);
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = |open: &str, close: &str| format!("{}a{}", open.repeat(900), close.repeat(900));
        for text in
            [deep("(", ")"), deep("!", ""), deep("-", ""), deep("[", "]"), deep("f(", ")"), deep("a?a:", "")]
        {
            let reason = parse(&text[..text.len().min(CONDITION_LEN_MAX)]).expect_err("it is deep").reason;
            assert!(reason.contains("deeper"), "{reason}");
        }
        assert!(parse(&vec!["1"; 900].join("+")).is_err());
        assert!(parse(&"a".repeat(CONDITION_LEN_MAX + 1)).is_err());
    }

    #[test]
    fn no_text_makes_it_panic() {
        const PARTS: [&str; 24] = [
            "a",
            "order.value",
            "1",
            "2.5",
            "'x'",
            "\"",
            "(",
            ")",
            "[",
            "]",
            "&&",
            "||",
            "!",
            "==",
            "in",
            "?",
            ":",
            ".",
            ",",
            "-",
            "\\",
            "é",
            "r'",
            "//",
        ];
        for seed in 0..20_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let text: String = (0..random.usize(1..16)).map(|_| PARTS[random.usize(..PARTS.len())]).collect();
            let _ = parse(&text);
        }
    }
}
