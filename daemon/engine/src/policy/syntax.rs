//! Conditions as text: a reader of the part of CEL, the Common Expression Language, that policies are written in.
//!
//! It knows the form of conditions and nothing of what their names mean; `check` does. Text and nesting are bounded, so
//! that no input makes it slow or deep.

/// Longest condition, in bytes.
pub(crate) const CONDITION_LEN_MAX: usize = 2_048;
/// Deepest nesting of a condition, and longest chain of one operator.
const DEPTH_MAX: u32 = 48;

/// Something wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where, in bytes from the condition's start.
    pub(crate) at: usize,
    /// What stood in the way and what to do.
    pub(crate) reason: String,
}

impl Mistake {
    pub(crate) fn at(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }
}

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
    let mut parser = Parser { text, at: 0, token: Token::End, begins: 0, depth: 0 };
    parser.advance()?;
    let expr = parser.choice()?;
    match parser.token {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("an operator or the end of the condition")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    End,
    Int(i64),
    Double(f64),
    Text(String),
    Name(String),
    Sign(&'static str),
}

/// Longer signs stand before their beginnings.
const SIGNS: [&str; 22] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", "(", ")", "[", "]",
    ",", ".",
];

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
    text: &'a str,
    /// Behind the token at hand.
    at: usize,
    token: Token,
    /// Where the token at hand begins.
    begins: usize,
    depth: u32,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn unexpected(&self, expected: &str) -> Mistake {
        let found = match &self.token {
            Token::End => "the condition ends here".to_owned(),
            _ => format!("{} stands here", &self.text[self.begins..self.at]),
        };
        Mistake::at(self.begins, format!("{found}; expected {expected}"))
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.token, Token::Sign(found) if found == sign)
    }

    fn take(&mut self, sign: &str) -> Result<bool, Mistake> {
        let there = self.is(sign);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    fn expect(&mut self, sign: &str) -> Result<(), Mistake> {
        if self.take(sign)? { Ok(()) } else { Err(self.unexpected(&format!("{sign:?}"))) }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        if self.depth == DEPTH_MAX {
            let reason =
                format!("the condition is nested deeper than {DEPTH_MAX}; part it into several rules");
            return Err(Mistake::at(self.begins, reason));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn choice(&mut self) -> Result<Expr, Mistake> {
        self.nested(|parser| {
            let condition = parser.either()?;
            if !parser.take("?")? {
                return Ok(condition);
            }
            let then = parser.either()?;
            parser.expect(":")?;
            let otherwise = parser.choice()?;
            let at = condition.at;
            Ok(Expr { at, kind: Kind::Choice(Box::new([condition, then, otherwise])) })
        })
    }

    fn either(&mut self) -> Result<Expr, Mistake> {
        let (at, mut parts) = (self.begins, vec![self.both()?]);
        while self.take("||")? {
            parts.push(self.both()?);
        }
        Ok(joined(at, parts, Kind::Or))
    }

    fn both(&mut self) -> Result<Expr, Mistake> {
        let (at, mut parts) = (self.begins, vec![self.relation()?]);
        while self.take("&&")? {
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
            let found = operators.iter().find(|operator| match &self.token {
                Token::Sign(sign) => *sign == operator.text(),
                Token::Name(name) => name == operator.text(),
                _ => false,
            });
            let Some(operator) = found else { return Ok(left) };
            self.advance()?;
            let right = side(self)?;
            let kind = Kind::Binary(*operator, Box::new(left), Box::new(right));
            left = Expr { at: self.begin_of(&kind), kind };
        }
        Err(Mistake::at(self.begins, format!("more than {DEPTH_MAX} operators in a row; part the condition")))
    }

    fn begin_of(&self, kind: &Kind) -> usize {
        if let Kind::Binary(_, left, _) = kind { left.at } else { self.begins }
    }

    fn unary(&mut self) -> Result<Expr, Mistake> {
        let at = self.begins;
        if self.take("!")? {
            let inner = self.nested(Self::unary)?;
            return Ok(Expr { at, kind: Kind::Not(Box::new(inner)) });
        }
        if self.take("-")? {
            let inner = self.nested(Self::unary)?;
            return Ok(Expr { at, kind: Kind::Negate(Box::new(inner)) });
        }
        self.member()
    }

    fn member(&mut self) -> Result<Expr, Mistake> {
        let mut expr = self.primary()?;
        while self.is(".") {
            self.advance()?;
            let begins = self.begins;
            let Token::Name(name) = self.token.clone() else { return Err(self.unexpected("a name")) };
            self.advance()?;
            let at = expr.at;
            if self.take("(")? {
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
        if self.is("[") {
            return Err(self.unexpected("no index: lists can only be asked with `in`"));
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, Mistake> {
        let at = self.begins;
        let kind = match self.token.clone() {
            Token::Int(number) => Kind::Int(number),
            Token::Double(number) => Kind::Double(number),
            Token::Text(text) => Kind::Text(text),
            Token::Sign("(") => {
                self.advance()?;
                let inner = self.choice()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => {
                self.advance()?;
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
                "in" => return Err(self.unexpected("a value")),
                reserved if RESERVED.contains(&reserved) => {
                    return Err(Mistake::at(at, format!("{reserved} is a reserved word of CEL")));
                }
                _ => {
                    self.advance()?;
                    if self.take("(")? {
                        return Ok(Expr { at, kind: Kind::Call(name, self.list_until(")")?) });
                    }
                    return Ok(Expr { at, kind: Kind::Name(name) });
                }
            },
            Token::End | Token::Sign(_) => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        Ok(Expr { at, kind })
    }

    fn list_until(&mut self, end: &str) -> Result<Vec<Expr>, Mistake> {
        let mut list = Vec::new();
        while !self.take(end)? {
            if !list.is_empty() {
                self.expect(",")?;
            }
            list.push(self.choice()?);
        }
        Ok(list)
    }

    fn advance(&mut self) -> Result<(), Mistake> {
        loop {
            let rest = self.rest();
            let space = rest.len() - rest.trim_start().len();
            let comment = if rest[space..].starts_with("//") {
                rest[space..].find('\n').unwrap_or(rest.len() - space)
            } else {
                0
            };
            if space + comment == 0 {
                break;
            }
            self.at += space + comment;
        }
        self.begins = self.at;
        let Some(first) = self.rest().chars().next() else {
            self.token = Token::End;
            return Ok(());
        };
        let begins_raw = matches!(first, 'r' | 'R') && self.rest()[1..].starts_with(['"', '\'']);
        let begins_number = first.is_ascii_digit()
            || first == '.' && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit());
        self.token = if first == '"' || first == '\'' || begins_raw {
            self.text(begins_raw)?
        } else if begins_number {
            self.number()?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let len = self
                .rest()
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(self.rest().len());
            let name = self.rest()[..len].to_owned();
            self.at += len;
            Token::Name(name)
        } else if let Some(sign) = SIGNS.iter().find(|sign| self.rest().starts_with(**sign)) {
            self.at += sign.len();
            Token::Sign(sign)
        } else {
            let hint = match first {
                '=' => "; write == to compare",
                '&' | '|' => "; write && or ||",
                _ => "",
            };
            return Err(Mistake::at(self.at, format!("{first:?} means nothing here{hint}")));
        };
        Ok(())
    }

    fn number(&mut self) -> Result<Token, Mistake> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Some(hex) = rest.strip_prefix("0x") {
            let len = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            let number = i64::from_str_radix(&hex[..len], 16);
            self.at += 2 + len;
            return number
                .map(Token::Int)
                .map_err(|_| Mistake::at(self.begins, "this is no number of at most 64 bits"));
        }
        let mut len = digits(0);
        let mut is_double = false;
        if bytes.get(len) == Some(&b'.') && digits(len + 1) > 0 {
            is_double = true;
            len += 1 + digits(len + 1);
        }
        if matches!(bytes.get(len), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
            if digits(len + 1 + sign) > 0 {
                is_double = true;
                len += 1 + sign + digits(len + 1 + sign);
            }
        }
        let text = &rest[..len];
        let token = if is_double {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(Token::Double)
        } else {
            text.parse().ok().map(Token::Int)
        };
        let follows = rest[len..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        self.at += len;
        token.filter(|_| !follows).ok_or_else(|| {
            Mistake::at(self.begins, "this is no number of at most 64 bits; write numbers like 50 or 12.50")
        })
    }

    fn text(&mut self, raw: bool) -> Result<Token, Mistake> {
        self.at += usize::from(raw);
        let quote = if self.rest().starts_with('"') { '"' } else { '\'' };
        let triple: String = [quote; 3].iter().collect();
        let end = if self.rest().starts_with(&triple) { triple } else { quote.to_string() };
        self.at += end.len();
        let mut text = String::new();
        loop {
            if self.rest().starts_with(&end) {
                self.at += end.len();
                return Ok(Token::Text(text));
            }
            let unended = || Mistake::at(self.begins, format!("the text has no end; close it with {end}"));
            let next = self.rest().chars().next().ok_or_else(unended)?;
            if next == '\n' && end.len() == 1 {
                return Err(unended());
            }
            self.at += next.len_utf8();
            if next == '\\' && !raw { text.push(self.escape()?) } else { text.push(next) }
        }
    }

    fn escape(&mut self) -> Result<char, Mistake> {
        let begins = self.at - 1;
        let unknown = || Mistake::at(begins, "no escape of CEL begins like this; write \\\\ for a backslash");
        let kind = self.rest().chars().next().ok_or_else(unknown)?;
        self.at += kind.len_utf8();
        let (skip, len, radix) = match kind {
            'n' => return Ok('\n'),
            't' => return Ok('\t'),
            'r' => return Ok('\r'),
            'a' => return Ok('\x07'),
            'b' => return Ok('\x08'),
            'f' => return Ok('\x0c'),
            'v' => return Ok('\x0b'),
            '\\' | '"' | '\'' | '`' | '?' => return Ok(kind),
            'x' | 'X' => (0, 2, 16),
            'u' => (0, 4, 16),
            'U' => (0, 8, 16),
            '0'..='3' => (1, 3, 8),
            _ => return Err(unknown()),
        };
        let from = self.at - skip;
        let digits = self.text.get(from..from + len).ok_or_else(unknown)?;
        self.at = from + len;
        let number = u32::from_str_radix(digits, radix).map_err(|_| unknown())?;
        char::from_u32(number).ok_or_else(unknown)
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
