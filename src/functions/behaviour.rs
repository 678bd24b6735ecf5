//! What a function depends on, and what it does: declared once for each function, next to its body.
//!
//! ```text
//!  declaration ─▶ Behaviour ─┬─▶ volatility          what the optimiser may fold, move and share
//!                            ├─▶ may_decide_policies  whether a row filter or mask may depend on it
//!                            └─▶ has_effect           whether stored text may call it for a reader who did not write that text
//! ```
//! Nobody who uses a function asks for its name: a new one says what it does where it is declared, or it cannot be declared.
//! Functions of the engine are immutable; one that is not counts as the worst.

use datafusion::logical_expr::Volatility;

/// What a function depends on and does, from the most harmless to the worst. The overloads of a name count together as their worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Behaviour {
    /// Its arguments decide.
    Immutable,
    /// Its arguments and the time zone decide. The zone is a part of the function's identity, so it is immutable for plans and caches.
    Zoned,
    /// The moment of the statement, or of its transaction, decides as well.
    Moment,
    /// It asks who runs the statement, or which groups somebody is a member of.
    Principal,
    /// It asks the session, or the catalog as the session sees it: settings, search path, temporary objects, names, privileges.
    Session,
    /// It gives something else at each call, and nobody but its caller learns that it was called.
    Volatile,
    /// It does something: sends, locks, waits, ends another session, changes its own.
    Effect,
}

impl Behaviour {
    /// Of a function of the engine.
    pub(super) const fn of_engine(volatility: Volatility) -> Self {
        match volatility {
            Volatility::Immutable => Behaviour::Immutable,
            Volatility::Stable => Behaviour::Session,
            Volatility::Volatile => Behaviour::Effect,
        }
    }

    /// What the engine is told.
    pub const fn volatility(self) -> Volatility {
        match self {
            Behaviour::Immutable | Behaviour::Zoned => Volatility::Immutable,
            Behaviour::Moment | Behaviour::Principal | Behaviour::Session => Volatility::Stable,
            Behaviour::Volatile | Behaviour::Effect => Volatility::Volatile,
        }
    }

    /// Whether a row filter or a mask may depend on it: whom the policy restricts cannot steer the answer. Neither the moment nor one's own name is
    /// up to the session; the time zone is, and policies are bound in a fixed one.
    pub const fn may_decide_policies(self) -> bool {
        match self {
            Behaviour::Immutable | Behaviour::Zoned | Behaviour::Moment | Behaviour::Principal => true,
            Behaviour::Session | Behaviour::Volatile | Behaviour::Effect => false,
        }
    }

    /// Whether a call does something to somebody.
    pub const fn has_effect(self) -> bool {
        matches!(self, Behaviour::Effect)
    }
}

#[cfg(test)]
mod tests {
    use super::Behaviour::{Effect, Moment, Principal, Volatile};
    use super::*;
    use crate::functions::Functions;
    use crate::functions::world::world;

    fn names_of(behaviour: Behaviour) -> Vec<String> {
        let functions = Functions::new();
        let mut names = [functions.scalar_names(), functions.table_names()].concat();
        names.sort();
        names.dedup();
        names.retain(|name| functions.behaviour(name) == Some(behaviour));
        names
    }

    #[test]
    fn every_function_has_a_behaviour_and_the_engine_is_told_the_same() {
        let (functions, world) = (Functions::new(), world());
        let context = world.context(world.alice);
        for name in [functions.scalar_names(), functions.table_names()].concat() {
            let behaviour = functions.behaviour(&name).unwrap_or_else(|| panic!("{name} has no behaviour"));
            let function = functions.scalar(&name, &context).or_else(|| functions.table(&name, &context).map(|set| set.list));
            let function = function.unwrap_or_else(|| panic!("{name} is not there"));
            assert_eq!(function.signature().volatility, behaviour.volatility(), "{name}");
        }
        for name in functions.aggregate_names() {
            let aggregate = functions.aggregate(&name).unwrap();
            assert_eq!(aggregate.signature().volatility, Volatility::Immutable, "{name}");
        }
        for name in functions.window_names() {
            assert_eq!(functions.window(&name).unwrap().signature().volatility, Volatility::Immutable, "{name}");
        }
    }

    /// A name that comes or goes here changes what policies and other people's views may do.
    #[test]
    fn few_functions_act_and_few_may_decide_policies_though_they_are_not_constant() {
        let locks = ["pg_advisory_lock", "pg_advisory_xact_lock", "pg_try_advisory_lock", "pg_try_advisory_xact_lock"];
        let unlock = ["pg_advisory_unlock"];
        let shared = |name: &&str| [(*name).to_string(), format!("{name}_shared")];
        let mut effects: Vec<String> = locks.iter().chain(&unlock).flat_map(shared).collect();
        let others = ["pg_advisory_unlock_all", "pg_cancel_backend", "pg_notify", "pg_sleep", "pg_terminate_backend", "set_config"];
        effects.extend(others.map(str::to_string));
        effects.sort();
        assert_eq!(names_of(Effect), effects);
        assert_eq!(
            names_of(Principal),
            [
                "current_role",
                "current_user",
                "is_account_group_member",
                "is_member",
                "pg_has_role",
                "session_user",
                "system_user",
                "user"
            ]
        );
        assert_eq!(
            names_of(Moment),
            [
                "age",
                "curdate",
                "current_date",
                "current_time",
                "current_timestamp",
                "localtime",
                "localtimestamp",
                "now",
                "statement_timestamp",
                "today",
                "transaction_timestamp",
                "unix_timestamp"
            ]
        );
        assert_eq!(
            names_of(Volatile),
            [
                "clock_timestamp",
                "gen_random_uuid",
                "pg_listening_channels",
                "rand",
                "random",
                "timeofday",
                "uuid",
                "uuid_generate_v4"
            ]
        );
    }
}
