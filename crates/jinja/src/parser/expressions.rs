//! Expressions, by the precedences of Jinja2's parser.

use super::Parser;
use crate::error::{Error, Result};
use crate::lexer::Token;
use crate::syntax::{Argument, Arithmetic, Comparison, Expr, ExprKind, FilterCall};
use crate::value::Value;

const SUMS: [(&str, Arithmetic); 2] = [("+", Arithmetic::Add), ("-", Arithmetic::Sub)];
const PRODUCTS: [(&str, Arithmetic); 4] =
    [("*", Arithmetic::Mul), ("/", Arithmetic::Div), ("//", Arithmetic::FloorDiv), ("%", Arithmetic::Rem)];
const POWERS: [(&str, Arithmetic); 1] = [("**", Arithmetic::Pow)];
const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Eq),
    ("!=", Comparison::Ne),
    ("<", Comparison::Lt),
    ("<=", Comparison::Le),
    (">", Comparison::Gt),
    (">=", Comparison::Ge),
];

/// Filters, attributes, subscripts and calls after one another.
const MAX_CHAIN: usize = 60;

impl Parser {
    fn too_long(&self) -> Error {
        Error::new(format!("more than {MAX_CHAIN} filters, attributes or calls follow each other")).at(self.line())
    }

    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.nested(Self::conditional_expression)
    }

    /// One expression, or several with commas. The last statement of a line may be `recursive`.
    pub(super) fn tuple(&mut self, with_condition: bool, before_recursive: bool) -> Result<Expr> {
        let line = self.line();
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            let at_end = matches!(self.peek(), None | Some(Token::BlockEnd | Token::PrintEnd)) || self.at(")");
            if at_end || (before_recursive && self.at_name("recursive")) {
                break;
            }
            items.push(if with_condition { self.expression()? } else { self.nested(Self::or)? });
            if !self.skip(",") {
                break;
            }
            is_tuple = true;
        }
        match items.len() {
            0 => Err(self.unexpected("an expression")),
            1 if !is_tuple => Ok(items.swap_remove(0)),
            _ => Ok(Expr { line, kind: ExprKind::Tuple(items) }),
        }
    }

    fn conditional_expression(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut expr = self.or()?;
        for _ in 0..MAX_CHAIN {
            if !self.skip_name("if") {
                return Ok(expr);
            }
            let condition = Box::new(self.or()?);
            let otherwise = if self.skip_name("else") { Some(Box::new(self.expression()?)) } else { None };
            expr = Expr { line, kind: ExprKind::If { condition, then: Box::new(expr), otherwise } };
        }
        Err(self.too_long())
    }

    fn or(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut items = vec![self.and()?];
        while self.skip_name("or") {
            items.push(self.and()?);
        }
        Ok(single_or(items, |items| Expr { line, kind: ExprKind::Or(items) }))
    }

    fn and(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut items = vec![self.not()?];
        while self.skip_name("and") {
            items.push(self.not()?);
        }
        Ok(single_or(items, |items| Expr { line, kind: ExprKind::And(items) }))
    }

    fn not(&mut self) -> Result<Expr> {
        let line = self.line();
        if !self.skip_name("not") {
            return self.comparison();
        }
        let negated = Box::new(self.nested(Self::not)?);
        Ok(Expr { line, kind: ExprKind::Not(negated) })
    }

    fn comparison(&mut self) -> Result<Expr> {
        let line = self.line();
        let first = self.arithmetic(&SUMS, Self::concatenation)?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison_operator() {
            rest.push((comparison, self.arithmetic(&SUMS, Self::concatenation)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expr { line, kind: ExprKind::Compare(Box::new(first), rest) })
    }

    fn comparison_operator(&mut self) -> Option<Comparison> {
        if let Some((_, comparison)) = COMPARISONS.iter().find(|(operator, _)| self.at(operator)) {
            self.position += 1;
            return Some(*comparison);
        }
        if self.skip_name("in") {
            return Some(Comparison::In);
        }
        if self.at_name("not") && matches!(self.peek_after(), Some(Token::Name(name)) if name == "in") {
            self.position += 2;
            return Some(Comparison::NotIn);
        }
        None
    }

    /// Operators of one precedence, from left to right, over what binds closer.
    fn arithmetic(&mut self, operators: &[(&str, Arithmetic)], operand: fn(&mut Self) -> Result<Expr>) -> Result<Expr> {
        let line = self.line();
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some((_, arithmetic)) = operators.iter().find(|(operator, _)| self.at(operator)) {
            self.position += 1;
            rest.push((*arithmetic, operand(self)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expr { line, kind: ExprKind::Arithmetic(Box::new(first), rest) })
    }

    fn concatenation(&mut self) -> Result<Expr> {
        let line = self.line();
        let mut items = vec![self.product()?];
        while self.skip("~") {
            items.push(self.product()?);
        }
        Ok(single_or(items, |items| Expr { line, kind: ExprKind::Concat(items) }))
    }

    fn product(&mut self) -> Result<Expr> {
        self.arithmetic(&PRODUCTS, |parser| parser.arithmetic(&POWERS, Self::filtered))
    }

    /// An operand with its filters and tests.
    fn filtered(&mut self) -> Result<Expr> {
        let mut expr = self.signed()?;
        for _ in 0..MAX_CHAIN {
            let line = self.line();
            if self.skip("|") {
                let filter = self.filter()?;
                expr = Expr { line, kind: ExprKind::Filter(Box::new(expr), filter) };
            } else if self.skip_name("is") {
                expr = self.test(expr)?;
            } else if self.at("(") {
                expr = self.call(expr)?;
            } else {
                return Ok(expr);
            }
        }
        Err(self.too_long())
    }

    fn signed(&mut self) -> Result<Expr> {
        let line = self.line();
        let expr = if self.skip("-") {
            let operand = Box::new(self.nested(Self::signed)?);
            Expr { line, kind: ExprKind::Negative(operand) }
        } else if self.skip("+") {
            let operand = Box::new(self.nested(Self::signed)?);
            Expr { line, kind: ExprKind::Positive(operand) }
        } else {
            self.primary()?
        };
        self.postfix(expr)
    }

    pub(super) fn filter(&mut self) -> Result<FilterCall> {
        let line = self.line();
        let name = self.dotted_name()?;
        let arguments = if self.at("(") { self.arguments()? } else { Vec::new() };
        Ok(FilterCall { line, name, arguments })
    }

    fn dotted_name(&mut self) -> Result<String> {
        let mut name = self.name()?;
        while self.skip(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name)
    }

    fn test(&mut self, of: Expr) -> Result<Expr> {
        let line = self.line();
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        let begins_argument = match self.peek() {
            Some(Token::Name(next)) if next == "is" => {
                return Err(Error::new("tests cannot be chained with `is`").at(line));
            }
            Some(Token::Name(next)) => !["else", "or", "and"].contains(&next.as_str()),
            Some(Token::Str(_) | Token::Int(_) | Token::Float(_)) => true,
            Some(Token::Operator(operator)) => ["[", "{"].contains(operator),
            _ => false,
        };
        let arguments = if self.at("(") {
            self.arguments()?
        } else if begins_argument {
            let argument = self.primary()?;
            vec![Argument::Positional(self.postfix(argument)?)]
        } else {
            Vec::new()
        };
        Ok(Expr { line, kind: ExprKind::Test { of: Box::new(of), name, arguments, negated } })
    }

    fn postfix(&mut self, mut expr: Expr) -> Result<Expr> {
        for _ in 0..MAX_CHAIN {
            let line = self.line();
            if self.skip(".") {
                expr = match self.next() {
                    Some(Token::Name(name)) => Expr { line, kind: ExprKind::Attribute(Box::new(expr), name) },
                    Some(Token::Int(index)) => {
                        let index = Expr { line, kind: ExprKind::Literal(Value::Int(index)) };
                        Expr { line, kind: ExprKind::Item(Box::new(expr), Box::new(index)) }
                    }
                    _ => {
                        self.position -= 1;
                        return Err(self.unexpected("a name or a number after the dot"));
                    }
                };
            } else if self.skip("[") {
                expr = self.nested(|parser| parser.subscript(expr))?;
            } else if self.at("(") {
                expr = self.call(expr)?;
            } else {
                return Ok(expr);
            }
        }
        Err(self.too_long())
    }

    fn subscript(&mut self, of: Expr) -> Result<Expr> {
        let line = self.line();
        let mut parts = [None, None, None];
        let mut part = 0;
        loop {
            if self.skip(":") && part < 2 {
                part += 1;
            } else if self.skip("]") {
                break;
            } else if parts[part].is_none() {
                parts[part] = Some(self.expression()?);
                if self.at(",") {
                    return Err(Error::unsupported("a tuple as a subscript").at(line));
                }
            } else {
                return Err(self.unexpected("`]`"));
            }
        }
        match (part, parts) {
            (0, [Some(index), ..]) => Ok(Expr { line, kind: ExprKind::Item(Box::new(of), Box::new(index)) }),
            (0, _) => Err(Error::new("expected a subscript").at(line)),
            (_, parts) => Ok(Expr { line, kind: ExprKind::Slice(Box::new(of), Box::new(parts)) }),
        }
    }

    fn call(&mut self, of: Expr) -> Result<Expr> {
        let line = self.line();
        let arguments = self.arguments()?;
        Ok(Expr { line, kind: ExprKind::Call(Box::new(of), arguments) })
    }

    fn arguments(&mut self) -> Result<Vec<Argument>> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.skip(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
                if self.skip(")") {
                    break;
                }
            }
            let is_named =
                matches!(self.peek(), Some(Token::Name(_))) && matches!(self.peek_after(), Some(Token::Operator("=")));
            let line = self.line();
            let argument = if self.skip("**") {
                Argument::UnpackedNamed(self.expression()?)
            } else if self.skip("*") {
                Argument::Unpacked(self.expression()?)
            } else if is_named {
                let name = self.name()?;
                self.position += 1;
                Argument::Named(name, self.expression()?)
            } else {
                if arguments.iter().any(|it| !matches!(it, Argument::Positional(_))) {
                    return Err(Error::new("a positional argument follows others").at(line));
                }
                Argument::Positional(self.expression()?)
            };
            arguments.push(argument);
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Result<Expr> {
        let line = self.line();
        let Some(token) = self.next() else { return Err(self.unexpected("an expression")) };
        let kind = match token {
            Token::Name(name) => match name.as_str() {
                "true" | "True" => ExprKind::Literal(Value::Bool(true)),
                "false" | "False" => ExprKind::Literal(Value::Bool(false)),
                "none" | "None" => ExprKind::Literal(Value::None),
                _ => {
                    self.mention(&name);
                    ExprKind::Name(name)
                }
            },
            Token::Str(mut text) => {
                while let Some(Token::Str(more)) = self.peek() {
                    text.push_str(more);
                    self.position += 1;
                }
                ExprKind::Literal(Value::str(text))
            }
            Token::Int(integer) => ExprKind::Literal(Value::Int(integer)),
            Token::Float(float) => ExprKind::Literal(Value::Float(float)),
            Token::Operator("(") => {
                if self.skip(")") {
                    ExprKind::Tuple(Vec::new())
                } else {
                    let inner = self.tuple(true, false)?;
                    self.expect(")")?;
                    return Ok(inner);
                }
            }
            Token::Operator("[") => ExprKind::List(self.sequence("]", Self::expression)?),
            Token::Operator("{") => ExprKind::Dict(self.sequence("}", |parser| {
                let key = parser.expression()?;
                parser.expect(":")?;
                Ok((key, parser.expression()?))
            })?),
            _ => {
                self.position -= 1;
                return Err(self.unexpected("an expression"));
            }
        };
        Ok(Expr { line, kind })
    }

    /// Items with commas between them up to an end, which is passed.
    fn sequence<T>(&mut self, end: &str, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.skip(end) {
            if !items.is_empty() {
                self.expect(",")?;
                if self.skip(end) {
                    break;
                }
            }
            items.push(item(self)?);
        }
        Ok(items)
    }
}

/// The only item, or what all of them make.
fn single_or(mut items: Vec<Expr>, make: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    if items.len() == 1 { items.swap_remove(0) } else { make(items) }
}
