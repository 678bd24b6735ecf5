//! Groups that policies ask for by name: `is_member('contractors')`.
//!
//! A policy may let rows through to those who are *not* in a group. When that group is renamed or dropped, it would let them through to
//! all. So a group that a policy names must be there when the policy is set, and stays under its name as long as the policy does.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, visit_expressions};

use super::{query, stored};
use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::{PolicyArgument, Relation};
use crate::error::{Error, ErrorKind, Result};

/// Functions whose arguments are names of groups.
const MEMBERSHIP: [&str; 3] = ["is_member", "is_account_group_member", "pg_has_role"];

/// What a text, with all that it reaches, asks for.
#[derive(Debug, Default)]
struct Asked {
    /// Names in calls of membership functions.
    named: BTreeSet<String>,
    /// Every text of the definitions: one of them may be a name where names are computed.
    texts: BTreeSet<String>,
    /// Whether a name is computed, such as from a parameter.
    computed: bool,
}

impl Asked {
    /// Goes through `text` and through every function and view that it reaches.
    fn by(text: ast::Query, snapshot: &CatalogSnapshot) -> Result<Self> {
        let mut asked = Asked::default();
        let mut open = vec![text];
        let mut seen = BTreeSet::new();
        while let Some(text) = open.pop() {
            let _: ControlFlow<()> = visit_expressions(&text, |expr| {
                asked.note(expr);
                ControlFlow::Continue(())
            });
            for used in stored::uses(&text, snapshot).into_iter().filter(|used| seen.insert(*used)) {
                if let Some(function) = snapshot.function_by_id(used) {
                    open.push(query::parse(&stored::call_query(function))?);
                } else if let Some(view) = snapshot.relation_by_id(used).and_then(|relation| relation.view()) {
                    open.push(query::parse(&view.query)?);
                }
            }
        }
        Ok(asked)
    }

    fn note(&mut self, expr: &Expr) {
        self.texts.extend(text_of(expr));
        let Expr::Function(call) = expr else { return };
        let name = call.name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_ascii_lowercase());
        if call.name.0.len() > 2 || !name.is_some_and(|name| MEMBERSHIP.contains(&name.as_str())) {
            return;
        }
        let FunctionArguments::List(list) = &call.args else { return };
        for argument in &list.args {
            let value = match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => text_of(value),
                _ => None,
            };
            match value {
                Some(group) => {
                    self.named.insert(group);
                }
                None => self.computed = true,
            }
        }
    }

    fn may_ask_for(&self, group: &str) -> bool {
        self.named.contains(group) || (self.computed && self.texts.contains(group))
    }
}

fn text_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    }
}

/// Refuses a policy text that asks for a group that is not there: it may be misspelt, and who is not in it would be everybody.
///
/// # Errors
/// [`ErrorKind::UndefinedObject`].
pub(super) fn check_present(text: &ast::Query, snapshot: &CatalogSnapshot) -> Result<()> {
    let asked = Asked::by(text.clone(), snapshot)?;
    // The third argument of pg_has_role is no name.
    let missing = |name: &&String| snapshot.principal(name).is_none() && !PRIVILEGES.contains(&name.to_ascii_uppercase().as_str());
    match asked.named.iter().find(missing) {
        None => Ok(()),
        Some(group) => Err(Error::new(ErrorKind::UndefinedObject, format!("group \"{group}\" does not exist"))
            .with_detail("A policy cannot ask for a group that is not there.")
            .with_hint("Create the group first: CREATE GROUP.")),
    }
}

/// What pg_has_role asks about.
const PRIVILEGES: [&str; 4] = ["MEMBER", "USAGE", "SET", "MEMBER WITH GRANT OPTION"];

/// Refuses to take the name away from a group that a policy asks for. A user's name is given up whatever a policy says of it: who leaves is
/// not kept by anybody's policy, and one that asks for a name which is gone lets nobody through.
///
/// # Errors
/// [`ErrorKind::DependentObjects`]; for administrators, who see every table.
pub(super) fn check_unnamed(group: &str, verb: &str, snapshot: &CatalogSnapshot) -> Result<()> {
    if snapshot.principal(group).is_some_and(|principal| principal.can_login) {
        return Ok(());
    }
    let asking = snapshot.all_relations().filter(|relation| asks_for(group, relation, snapshot));
    let dependents: Vec<String> =
        asking.map(|relation| format!("a policy of table {} asks for it", snapshot.full_name(relation.id))).collect();
    if dependents.is_empty() {
        return Ok(());
    }
    let message = format!("cannot {verb} role \"{group}\" because other objects depend on it");
    Err(Error::new(ErrorKind::DependentObjects, message)
        .with_detail(dependents.join("\n"))
        .with_hint("Drop the row filters and column masks, or give them functions that ask for another group."))
}

fn asks_for(group: &str, relation: &Relation, snapshot: &CatalogSnapshot) -> bool {
    let Some(table) = relation.table() else { return false };
    let constants = table.column_masks.values().flat_map(|mask| &mask.using).filter_map(|argument| match argument {
        PolicyArgument::Constant(text) => Some(text.clone()),
        PolicyArgument::Column(_) => None,
    });
    let constants: BTreeSet<String> = constants.collect();
    let filter = table.row_filter.iter().map(|filter| filter.function);
    let functions = filter.chain(table.column_masks.values().map(|mask| mask.function));
    functions.filter_map(|id| snapshot.function_by_id(id)).any(|function| {
        // A text that is none any more makes its table unreadable, whatever the group is called.
        let asked = query::parse(&stored::call_query(function)).and_then(|call| Asked::by(call, snapshot));
        asked.is_ok_and(|asked| asked.may_ask_for(group) || (asked.computed && constants.contains(group)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Asked {
        Asked::by(query::parse(text).unwrap(), &CatalogSnapshot::empty()).unwrap()
    }

    #[test]
    fn names_stand_in_calls_at_any_depth_or_anywhere_if_they_are_computed() {
        let named = asked(
            "SELECT region = 'EU' OR NOT (1 = 1 AND pg_catalog.IS_MEMBER('a')) OR EXISTS (SELECT is_account_group_member('b'))",
        );
        assert!(named.may_ask_for("a") && named.may_ask_for("b") && !named.may_ask_for("EU"));
        let computed = asked("SELECT is_member('team ' || x) OR x = 'c'");
        assert!(computed.may_ask_for("c") && !computed.may_ask_for("d"));
        assert!(!asked("SELECT lower('a')").may_ask_for("a"));
    }
}
