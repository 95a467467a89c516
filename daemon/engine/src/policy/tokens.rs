//! Conditions as a row of tokens: names, signs, numbers, texts, without the spaces and comments between them.
//!
//! It knows what a token looks like, and not in which order they may stand.

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

/// A word of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
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

/// The tokens of a condition, one after the other.
pub(super) struct Tokens<'a> {
    text: &'a str,
    /// Behind the token at hand.
    at: usize,
    /// The token at hand.
    pub(super) token: Token,
    /// Where it begins.
    pub(super) begins: usize,
}

impl<'a> Tokens<'a> {
    /// With the first one at hand.
    pub(super) fn of(text: &'a str) -> Result<Self, Mistake> {
        let mut tokens = Self { text, at: 0, token: Token::End, begins: 0 };
        tokens.advance()?;
        Ok(tokens)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The token at hand is none of those that may stand here.
    pub(super) fn unexpected(&self, expected: &str) -> Mistake {
        let found = match &self.token {
            Token::End => "the condition ends here".to_owned(),
            _ => format!("{} stands here", &self.text[self.begins..self.at]),
        };
        Mistake::at(self.begins, format!("{found}; expected {expected}"))
    }

    /// Whether the token at hand is this sign.
    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(self.token, Token::Sign(found) if found == sign)
    }

    /// Goes on behind the sign, where it stands here. Whether it did.
    pub(super) fn take(&mut self, sign: &str) -> Result<bool, Mistake> {
        let there = self.is(sign);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    /// Goes on behind the sign, which must stand here.
    pub(super) fn expect(&mut self, sign: &str) -> Result<(), Mistake> {
        if self.take(sign)? { Ok(()) } else { Err(self.unexpected(&format!("{sign:?}"))) }
    }

    /// Reads the next token.
    pub(super) fn advance(&mut self) -> Result<(), Mistake> {
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
