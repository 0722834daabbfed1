//! Tokens as a tree: the statements of a template. Expressions are in [`expressions`].

mod expressions;

use crate::error::{Error, Result};
use crate::lexer::{Token, tokens};
use crate::syntax::{Expr, ExprKind, FilterCall, For, MENTIONED, Macro, Statement, Target};

/// Expressions and blocks within one another.
const MAX_DEPTH: usize = 60;

/// Statements of Jinja2 and its extensions that need other templates, or change what is escaped.
const UNSUPPORTED: [&str; 9] =
    ["autoescape", "do", "debug", "extends", "from", "import", "include", "pluralize", "trans"];

/// The statements of a template.
///
/// Errors: what is wrong, and in which line.
pub(crate) fn parse(source: &str) -> Result<Vec<Statement>> {
    let mut parser = Parser { tokens: tokens(source)?, position: 0, depth: 0, loops: 0, mentions: Vec::new() };
    let statements = parser.statements(&[]).map_err(|error| error.at(parser.line()))?;
    Ok(statements)
}

struct Parser {
    tokens: Vec<(u32, Token)>,
    position: usize,
    depth: usize,
    /// How many loops are around the current place, within the same macro.
    loops: usize,
    /// For each macro around the current place, which of [`MENTIONED`] it mentions.
    mentions: Vec<[bool; 3]>,
}

impl Parser {
    fn line(&self) -> u32 {
        let at = self.position.min(self.tokens.len().saturating_sub(1));
        self.tokens.get(at).map_or(1, |token| token.0)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position).map(|token| &token.1)
    }

    fn peek_after(&self) -> Option<&Token> {
        self.tokens.get(self.position + 1).map(|token| &token.1)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.position += 1;
        token
    }

    /// Whether an operator is next.
    fn at(&self, operator: &str) -> bool {
        matches!(self.peek(), Some(Token::Operator(next)) if *next == operator)
    }

    fn at_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(next)) if next == name)
    }

    /// Passes an operator if it is next.
    fn skip(&mut self, operator: &str) -> bool {
        let found = self.at(operator);
        self.position += usize::from(found);
        found
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.at_name(name);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, operator: &str) -> Result<()> {
        if self.skip(operator) { Ok(()) } else { Err(self.unexpected(&format!("`{operator}`"))) }
    }

    fn expect_token(&mut self, token: &Token, what: &str) -> Result<()> {
        if self.peek() == Some(token) {
            self.position += 1;
            return Ok(());
        }
        Err(self.unexpected(what))
    }

    fn name(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.position += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// An error at the current place.
    fn unexpected(&self, expected: &str) -> Error {
        let got = match self.peek() {
            None => "the end of the template".to_owned(),
            Some(Token::Text(_)) => "text".into(),
            Some(Token::BlockBegin) => "`{%`".into(),
            Some(Token::BlockEnd) => "`%}`".into(),
            Some(Token::PrintBegin) => "`{{`".into(),
            Some(Token::PrintEnd) => "`}}`".into(),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::Str(_)) => "a string".into(),
            Some(Token::Int(_) | Token::Float(_)) => "a number".into(),
            Some(Token::Operator(operator)) => format!("`{operator}`"),
        };
        Error::new(format!("expected {expected}, got {got}")).at(self.line())
    }

    /// Parses what is within something else.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(
                Error::new(format!("template nests more than {MAX_DEPTH} expressions and blocks")).at(self.line())
            );
        }
        self.depth += 1;
        let outcome = parse(self);
        self.depth -= 1;
        outcome
    }

    /// Statements up to one of the tags that end them, whose name is next afterwards; or all of them.
    fn statements(&mut self, ends: &[&str]) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        while let Some(token) = self.next() {
            match token {
                Token::Text(text) => statements.push(Statement::Text(text)),
                Token::PrintBegin => {
                    statements.push(Statement::Print(self.tuple(true, false)?));
                    self.expect_token(&Token::PrintEnd, "`}}`")?;
                }
                _ => {
                    if ends.iter().any(|end| self.at_name(end)) {
                        return Ok(statements);
                    }
                    statements.push(self.nested(Self::statement)?);
                    self.expect_token(&Token::BlockEnd, "`%}`")?;
                }
            }
        }
        if ends.is_empty() {
            Ok(statements)
        } else {
            Err(self.unexpected(&format!("`{{% {} %}}`", ends[ends.len() - 1])))
        }
    }

    /// The statements within a tag, up to the end tag, which is passed.
    fn body(&mut self, end: &str) -> Result<Vec<Statement>> {
        let statements = self.open_body(&[end])?;
        self.position += 1;
        Ok(statements)
    }

    /// The statements within a tag, up to one of the tags that end them.
    fn open_body(&mut self, ends: &[&str]) -> Result<Vec<Statement>> {
        self.skip(":");
        self.expect_token(&Token::BlockEnd, "`%}`")?;
        self.statements(ends)
    }

    fn statement(&mut self) -> Result<Statement> {
        let name = self.name()?;
        match name.as_str() {
            "for" => self.for_loop(),
            "if" => self.conditional(),
            "set" => self.set(),
            "with" => self.with(),
            "filter" => Ok(Statement::Filter { filters: self.filters()?, body: self.body("endfilter")? }),
            "generation" => Ok(Statement::With { assignments: Vec::new(), body: self.body("endgeneration")? }),
            "block" => self.block(),
            "macro" => {
                let name = self.assignable_name()?;
                let body = self.macro_body(name.clone(), "endmacro")?;
                Ok(Statement::Macro(name, body))
            }
            "call" => self.call_block(),
            "break" | "continue" if self.loops == 0 => {
                self.position -= 1;
                Err(Error::new(format!("`{{% {name} %}}` outside of a loop")).at(self.line()))
            }
            "break" => Ok(Statement::Break),
            "continue" => Ok(Statement::Continue),
            unsupported if UNSUPPORTED.contains(&unsupported) => {
                Err(Error::unsupported(format!("`{{% {name} %}}` in a chat template")).at(self.line()))
            }
            _ => Err(Error::new(format!("unknown tag `{{% {name} %}}`")).at(self.line())),
        }
    }

    fn for_loop(&mut self) -> Result<Statement> {
        let target = self.target(&["in"], false)?;
        if !self.skip_name("in") {
            return Err(self.unexpected("`in`"));
        }
        let over = self.tuple(false, true)?;
        let condition = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        self.loops += 1;
        let body = self.open_body(&["else", "endfor"]);
        self.loops -= 1;
        let body = body?;
        let otherwise = if self.skip_name("else") { self.open_body(&["endfor"])? } else { Vec::new() };
        self.position += 1;
        Ok(Statement::For(Box::new(For { target, over, condition, recursive, body, otherwise })))
    }

    fn conditional(&mut self) -> Result<Statement> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple(false, false)?;
            branches.push((condition, self.open_body(&["elif", "else", "endif"])?));
            if !self.skip_name("elif") {
                break;
            }
        }
        let otherwise = if self.skip_name("else") { self.open_body(&["endif"])? } else { Vec::new() };
        self.position += 1;
        Ok(Statement::If { branches, otherwise })
    }

    fn set(&mut self) -> Result<Statement> {
        let target = self.target(&[], true)?;
        if self.skip("=") {
            return Ok(Statement::Set(target, self.tuple(true, false)?));
        }
        let filters = if self.skip("|") { self.filters()? } else { Vec::new() };
        Ok(Statement::SetBlock { target, filters, body: self.body("endset")? })
    }

    fn with(&mut self) -> Result<Statement> {
        let mut assignments = Vec::new();
        while self.peek() != Some(&Token::BlockEnd) {
            if !assignments.is_empty() {
                self.expect(",")?;
            }
            let target = self.target(&[], false)?;
            self.expect("=")?;
            assignments.push((target, self.expression()?));
        }
        Ok(Statement::With { assignments, body: self.body("endwith")? })
    }

    fn block(&mut self) -> Result<Statement> {
        let name = self.name()?;
        let loops = std::mem::take(&mut self.loops);
        let body = self.body("endblock");
        self.loops = loops;
        self.skip_name(&name);
        Ok(Statement::Block(body?))
    }

    fn call_block(&mut self) -> Result<Statement> {
        // The parameters of the body come before the call, the body after it.
        let parameters = if self.at("(") { self.parameters()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return Err(self.unexpected("a call"));
        }
        let (body, mentions) = self.separate_body("endcall")?;
        Ok(Statement::Call { call, body: Macro { name: "caller".into(), parameters, body, mentions } })
    }

    fn macro_body(&mut self, name: String, end: &str) -> Result<Macro> {
        let parameters = self.parameters()?;
        let (body, mentions) = self.separate_body(end)?;
        Ok(Macro { name, parameters, body, mentions })
    }

    /// The body of a macro, and what it mentions of [`MENTIONED`].
    fn separate_body(&mut self, end: &str) -> Result<(Vec<Statement>, [bool; 3])> {
        let loops = std::mem::take(&mut self.loops);
        self.mentions.push([false; 3]);
        let body = self.body(end);
        let mentions = self.mentions.pop().unwrap_or_default();
        self.loops = loops;
        Ok((body?, mentions))
    }

    fn parameters(&mut self) -> Result<Vec<(String, Option<Expr>)>> {
        self.expect("(")?;
        let mut parameters: Vec<(String, Option<Expr>)> = Vec::new();
        while !self.skip(")") {
            if !parameters.is_empty() {
                self.expect(",")?;
            }
            let name = self.assignable_name()?;
            let default = if self.skip("=") { Some(self.expression()?) } else { None };
            if default.is_none() && parameters.last().is_some_and(|last| last.1.is_some()) {
                return Err(Error::new("a parameter without a default follows one with a default").at(self.line()));
            }
            parameters.push((name, default));
        }
        Ok(parameters)
    }

    /// Filters with `|` between them.
    fn filters(&mut self) -> Result<Vec<FilterCall>> {
        let mut filters = vec![self.filter()?];
        while self.skip("|") {
            filters.push(self.filter()?);
        }
        Ok(filters)
    }

    /// A name, or several with commas; for `set` also `namespace.attribute`.
    fn target(&mut self, ends: &[&str], with_namespace: bool) -> Result<Target> {
        let mut targets = Vec::new();
        let mut is_tuple = false;
        loop {
            let at_end = matches!(self.peek(), None | Some(Token::BlockEnd)) || self.at(")") || self.at("=");
            if at_end || ends.iter().any(|end| self.at_name(end)) {
                break;
            }
            targets.push(self.single_target(with_namespace)?);
            if !self.skip(",") {
                break;
            }
            is_tuple = true;
        }
        match targets.len() {
            0 => Err(self.unexpected("a name to assign to")),
            1 if !is_tuple => Ok(targets.swap_remove(0)),
            _ => Ok(Target::Tuple(targets)),
        }
    }

    fn single_target(&mut self, with_namespace: bool) -> Result<Target> {
        if self.skip("(") {
            let target = self.nested(|parser| parser.target(&[], with_namespace))?;
            self.expect(")")?;
            return Ok(target);
        }
        let name = self.assignable_name()?;
        self.mention(&name);
        if with_namespace && self.skip(".") {
            Ok(Target::Attribute(name, self.name()?))
        } else {
            Ok(Target::Name(name))
        }
    }

    fn assignable_name(&mut self) -> Result<String> {
        let name = self.name()?;
        if ["true", "True", "false", "False", "none", "None"].contains(&name.as_str()) {
            return Err(Error::new(format!("`{name}` cannot be assigned to")).at(self.line()));
        }
        Ok(name)
    }

    /// Notes that the macro around the current place mentions a name.
    fn mention(&mut self, name: &str) {
        if let (Some(index), Some(mentions)) =
            (MENTIONED.iter().position(|mentioned| *mentioned == name), self.mentions.last_mut())
        {
            mentions[index] = true;
        }
    }
}
