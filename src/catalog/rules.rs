//! What a principal holds: the privilege rules of Unity Catalog
//! (<https://docs.databricks.com/en/data-governance/unity-catalog/manage-privileges/>).
//!
//! ```text
//!  holds    ownership of the object itself, or a grant on it or on a container, to the principal, a group of it, or PUBLIC
//!  reaches  USE CATALOG and USE SCHEMA on the containers
//!  manages  ownership or MANAGE, on it or on a container; administrators
//!  visible  administrators, who manages, BROWSE, any privilege that means something on it
//! ```
//! Grants inherit downward, also to objects made later. Ownership does not: who owns a schema manages its tables but reads none of
//! them. Grants on the metastore do not inherit. There is no negative grant.

use super::privilege::Privilege;
use super::securable::{Grant, METASTORE, ObjectId, SecurableKind};
use super::snapshot::CatalogSnapshot;

impl CatalogSnapshot {
    /// Whether `principal` owns the object, itself or through a group.
    pub fn owns(&self, principal: ObjectId, securable: ObjectId) -> bool {
        self.owner_of(securable).is_some_and(|owner| self.is_member(principal, owner))
    }

    /// Whether `principal` holds `privilege` on `securable`. Does not look at USE on the containers: see [`Self::reaches`].
    ///
    /// ALL PRIVILEGES, on the object or on a container, gives every privilege but MANAGE.
    pub fn holds(&self, principal: ObjectId, privilege: Privilege, securable: ObjectId) -> bool {
        if securable == METASTORE && self.is_admin(principal) {
            return true;
        }
        if self.owns(principal, securable) {
            return true;
        }
        self.effective_grants(principal, securable).any(|grant| gives(grant.privilege, privilege))
    }

    /// Whether `principal` may grant `privilege` on `securable` to others: who manages it, or holds it WITH GRANT OPTION.
    pub fn may_grant(&self, principal: ObjectId, privilege: Privilege, securable: ObjectId) -> bool {
        self.manages(principal, securable)
            || self.effective_grants(principal, securable).any(|grant| grant.grantable && gives(grant.privilege, privilege))
    }

    /// As whom `principal` grants and revokes `privilege` on `securable`: as the owner if it manages the object, otherwise as the one who
    /// holds the privilege WITH GRANT OPTION, itself or a group of it. `None` if it may not.
    pub fn grantor_for(&self, principal: ObjectId, privilege: Privilege, securable: ObjectId) -> Option<ObjectId> {
        if self.manages(principal, securable) {
            return Some(self.owner_of(securable).unwrap_or(METASTORE));
        }
        let options =
            self.effective_grants(principal, securable).filter(|grant| grant.grantable && gives(grant.privilege, privilege));
        let holders: Vec<ObjectId> = options.map(|grant| grant.grantee).collect();
        if holders.contains(&principal) { Some(principal) } else { holders.first().copied() }
    }

    /// What ALL TABLES (or VIEWS, or FUNCTIONS) IN SCHEMA stands for: the objects that `principal` may know of. Tables are views, too.
    pub fn known_in(&self, principal: ObjectId, schema: ObjectId, kind: SecurableKind) -> Vec<ObjectId> {
        let relations = self.relations(schema).filter(|relation| match kind {
            SecurableKind::Table => true,
            SecurableKind::View => relation.view().is_some(),
            _ => false,
        });
        let functions = self.functions(schema).filter(|_| kind == SecurableKind::Function);
        let all = relations.map(|relation| relation.id).chain(functions.map(|function| function.id));
        all.filter(|id| self.visible(principal, *id)).collect()
    }

    /// Whether `principal` may enter the containers of `securable`: USE CATALOG on its catalog and USE SCHEMA on its schema.
    ///
    /// A schema asks for its catalog only; a catalog, and what lies outside catalogs, for nothing.
    pub fn reaches(&self, principal: ObjectId, securable: ObjectId) -> bool {
        self.containers_of(securable).skip(1).all(|container| match self.kind_of(container) {
            Some(SecurableKind::Catalog) => self.holds(principal, Privilege::UseCatalog, container),
            Some(SecurableKind::Schema) => self.holds(principal, Privilege::UseSchema, container),
            _ => false,
        })
    }

    /// Whether `principal` may grant on, alter and drop `securable`: its owner, the owner of a container, a holder of MANAGE on either,
    /// an administrator.
    pub fn manages(&self, principal: ObjectId, securable: ObjectId) -> bool {
        self.is_admin(principal)
            || self.containers_of(securable).any(|id| self.owns(principal, id))
            || self.effective_grants(principal, securable).any(|grant| grant.privilege == Privilege::Manage)
    }

    /// Whether `principal` may know that `securable` exists.
    ///
    /// Names of principals are visible to all, as in PostgreSQL. A catalog or schema shows itself also through anything visible
    /// inside it, which costs a walk over its objects when nothing else shows it.
    pub fn visible(&self, principal: ObjectId, securable: ObjectId) -> bool {
        let Some(kind) = self.kind_of(securable) else { return self.principal_by_id(securable).is_some() };
        if kind == SecurableKind::Metastore || self.manages(principal, securable) {
            return true;
        }
        let shows = |grant: &Grant| grant.privilege == Privilege::Browse || grant.privilege.applies_to(kind);
        if self.effective_grants(principal, securable).any(shows) {
            return true;
        }
        match kind {
            SecurableKind::Catalog => self.schemas(securable).any(|schema| self.visible(principal, schema.id)),
            SecurableKind::Schema => {
                self.relations(securable).any(|relation| self.visible(principal, relation.id))
                    || self.functions(securable).any(|function| self.visible(principal, function.id))
            }
            SecurableKind::Metastore
            | SecurableKind::Table
            | SecurableKind::View
            | SecurableKind::Function
            | SecurableKind::StorageCredential
            | SecurableKind::ExternalLocation => false,
        }
    }

    /// The grants on `securable` and on its containers that `principal` has, itself, through groups or through PUBLIC.
    pub fn effective_grants(&self, principal: ObjectId, securable: ObjectId) -> impl Iterator<Item = &Grant> {
        self.containers_of(securable)
            .flat_map(|id| self.grants_on(id))
            .filter(move |grant| self.is_member(principal, grant.grantee))
    }
}

/// Whether a grant of `granted` satisfies a check for `wanted`.
pub(super) fn gives(granted: Privilege, wanted: Privilege) -> bool {
    granted == wanted || (granted == Privilege::AllPrivileges && wanted != Privilege::Manage)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::catalog::change::{Change, NewFunction, NewPrincipal, NewRelation, NewTable, Revocation};
    use crate::catalog::securable::{PUBLIC, RelationKind, ViewEntry};
    use crate::types::SqlType;

    /// A catalog `c`, a schema `s`, a table `t`, a view `v` and a function `f`, each with an owner of its own, and `ann` in group
    /// `team`, itself in group `all_teams`.
    struct World {
        change: Change,
        ann: ObjectId,
        team: ObjectId,
        all_teams: ObjectId,
        catalog: ObjectId,
        schema: ObjectId,
        table: ObjectId,
        view: ObjectId,
        function: ObjectId,
    }

    fn world() -> World {
        let mut change = Change::on(&CatalogSnapshot::empty());
        let mut principal = |name: &str, is_admin| {
            change
                .create_principal(NewPrincipal { name: name.to_string(), can_login: true, is_admin, ..Default::default() })
                .unwrap()
        };
        let admin = principal("admin", true);
        let ann = principal("ann", false);
        let team = principal("team", false);
        let all_teams = principal("all_teams", false);
        let owner_c = principal("owner_c", false);
        let owner_s = principal("owner_s", false);
        let owner_t = principal("owner_t", false);
        let _ = admin;
        change.add_member(team, ann).unwrap();
        change.add_member(all_teams, team).unwrap();
        let catalog = change.create_catalog("c", owner_c, None, None).unwrap();
        let schema = change.create_schema(catalog, "s", owner_s, None, None).unwrap();
        let mut relation = |name: &str, kind| {
            let new =
                NewRelation { id: None, schema, name: name.to_string(), owner: owner_t, columns: vec![], comment: None, kind };
            change.create_relation(new).unwrap()
        };
        let location = "file:///t".to_string();
        let table = relation("t", NewTable { location, managed: true, credential: None, partition_columns: vec![] }.into());
        let view = relation("v", RelationKind::View(ViewEntry { query: "SELECT 1".to_string(), uses: vec![] }));
        let function = change
            .create_function(NewFunction {
                schema,
                name: "f".to_string(),
                owner: owner_t,
                parameters: vec![],
                returns: SqlType::Bool,
                body: "true".to_string(),
                uses: vec![],
                comment: None,
            })
            .unwrap();
        World { change, ann, team, all_teams, catalog, schema, table, view, function }
    }

    impl World {
        fn with(mut self, grantee: ObjectId, privilege: Privilege, securable: ObjectId) -> Self {
            let grantor = self.change.snapshot().principal("admin").unwrap().id;
            self.change.grant(Grant { grantee, securable, privilege, grantor, grantable: false }).unwrap();
            self
        }

        /// One line: what `who` may do with each object.
        fn line(&self, label: &str, who: ObjectId) -> String {
            let snapshot = self.change.snapshot();
            let cell = |id: ObjectId, privileges: &[(Privilege, char)]| {
                let mut text: String = privileges
                    .iter()
                    .map(|(privilege, letter)| if snapshot.holds(who, *privilege, id) { *letter } else { '.' })
                    .collect();
                text.push(if snapshot.reaches(who, id) { 'r' } else { '.' });
                text.push(if snapshot.manages(who, id) { 'm' } else { '.' });
                text.push(if snapshot.visible(who, id) { 'v' } else { '.' });
                text
            };
            use Privilege as P;
            format!(
                "{label:<34} {} {} {} {} {} {}\n",
                cell(METASTORE, &[(P::CreateCatalog, 'C')]),
                cell(self.catalog, &[(P::UseCatalog, 'U'), (P::CreateSchema, 'C')]),
                cell(self.schema, &[(P::UseSchema, 'U'), (P::CreateTable, 'T'), (P::CreateView, 'V'), (P::CreateFunction, 'F')]),
                cell(self.table, &[(P::Select, 'S'), (P::Insert, 'I'), (P::Update, 'U'), (P::Delete, 'D'), (P::Truncate, 'T')]),
                cell(self.view, &[(P::Select, 'S')]),
                cell(self.function, &[(P::Execute, 'X')]),
            )
        }
    }

    const HEADER: &str = "                                   meta cat   schema  table    view func\n";

    #[test]
    fn ownership_gives_the_object_and_manages_what_is_inside() {
        let world = world();
        let mut table = HEADER.to_string();
        for name in ["admin", "ann", "owner_c", "owner_s", "owner_t"] {
            table += &world.line(name, world.change.snapshot().principal(name).unwrap().id);
        }
        expect![[r#"
                                               meta cat   schema  table    view func
            admin                              Crmv ..rmv .....mv ......mv ..mv ..mv
            ann                                .r.v ..r.. ....... ........ .... ....
            owner_c                            .r.v UCrmv ....rmv ......mv ..mv ..mv
            owner_s                            .r.v ..r.v UTVF.mv ......mv ..mv ..mv
            owner_t                            .r.v ..r.v ......v SIUDT.mv S.mv X.mv
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn every_grant_gives_what_it_says_and_no_more() {
        use Privilege as P;
        let objects: [(&str, fn(&World) -> ObjectId); 6] = [
            ("metastore", |_| METASTORE),
            ("catalog", |world| world.catalog),
            ("schema", |world| world.schema),
            ("table", |world| world.table),
            ("view", |world| world.view),
            ("function", |world| world.function),
        ];
        let mut table = HEADER.to_string();
        for (name, object) in objects {
            for privilege in P::ALL {
                let world = world();
                let id = object(&world);
                if !privilege.applies_to(world.change.snapshot().kind_of(id).unwrap()) {
                    continue;
                }
                let ann = world.ann;
                table += &world.with(ann, privilege, id).line(&format!("{privilege} on {name}"), ann);
            }
        }
        expect![[r#"
                                               meta cat   schema  table    view func
            CREATE CATALOG on metastore        Cr.v ..r.. ....... ........ .... ....
            MANAGE on metastore                .rmv ..r.. ....... ........ .... ....
            ALL PRIVILEGES on metastore        Cr.v ..r.. ....... ........ .... ....
            USE CATALOG on catalog             .r.v U.r.v ....r.. ........ .... ....
            USE SCHEMA on catalog              .r.v ..r.v U.....v ........ .... ....
            SELECT on catalog                  .r.v ..r.v ......v S......v S..v ....
            INSERT on catalog                  .r.v ..r.v ......v .I.....v .... ....
            UPDATE on catalog                  .r.v ..r.v ......v ..U....v .... ....
            DELETE on catalog                  .r.v ..r.v ......v ...D...v .... ....
            TRUNCATE on catalog                .r.v ..r.v ......v ....T..v .... ....
            EXECUTE on catalog                 .r.v ..r.v ......v ........ .... X..v
            CREATE SCHEMA on catalog           .r.v .Cr.v ....... ........ .... ....
            CREATE TABLE on catalog            .r.v ..r.v .T....v ........ .... ....
            CREATE VIEW on catalog             .r.v ..r.v ..V...v ........ .... ....
            CREATE FUNCTION on catalog         .r.v ..r.v ...F..v ........ .... ....
            BROWSE on catalog                  .r.v ..r.v ......v .......v ...v ...v
            MANAGE on catalog                  .r.v ..rmv .....mv ......mv ..mv ..mv
            ALL PRIVILEGES on catalog          .r.v UCr.v UTVFr.v SIUDTr.v Sr.v Xr.v
            USE SCHEMA on schema               .r.v ..r.v U.....v ........ .... ....
            SELECT on schema                   .r.v ..r.v ......v S......v S..v ....
            INSERT on schema                   .r.v ..r.v ......v .I.....v .... ....
            UPDATE on schema                   .r.v ..r.v ......v ..U....v .... ....
            DELETE on schema                   .r.v ..r.v ......v ...D...v .... ....
            TRUNCATE on schema                 .r.v ..r.v ......v ....T..v .... ....
            EXECUTE on schema                  .r.v ..r.v ......v ........ .... X..v
            CREATE TABLE on schema             .r.v ..r.v .T....v ........ .... ....
            CREATE VIEW on schema              .r.v ..r.v ..V...v ........ .... ....
            CREATE FUNCTION on schema          .r.v ..r.v ...F..v ........ .... ....
            MANAGE on schema                   .r.v ..r.v .....mv ......mv ..mv ..mv
            ALL PRIVILEGES on schema           .r.v ..r.v UTVF..v SIUDT..v S..v X..v
            SELECT on table                    .r.v ..r.v ......v S......v .... ....
            INSERT on table                    .r.v ..r.v ......v .I.....v .... ....
            UPDATE on table                    .r.v ..r.v ......v ..U....v .... ....
            DELETE on table                    .r.v ..r.v ......v ...D...v .... ....
            TRUNCATE on table                  .r.v ..r.v ......v ....T..v .... ....
            MANAGE on table                    .r.v ..r.v ......v ......mv .... ....
            ALL PRIVILEGES on table            .r.v ..r.v ......v SIUDT..v .... ....
            SELECT on view                     .r.v ..r.v ......v ........ S..v ....
            MANAGE on view                     .r.v ..r.v ......v ........ ..mv ....
            ALL PRIVILEGES on view             .r.v ..r.v ......v ........ S..v ....
            EXECUTE on function                .r.v ..r.v ......v ........ .... X..v
            MANAGE on function                 .r.v ..r.v ......v ........ .... ..mv
            ALL PRIVILEGES on function         .r.v ..r.v ......v ........ .... X..v
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn grants_reach_through_groups_and_public() {
        let mut table = HEADER.to_string();
        let grantees: [(&str, fn(&World) -> ObjectId); 4] = [
            ("ann", |world| world.ann),
            ("team", |world| world.team),
            ("all_teams", |world| world.all_teams),
            ("public", |_| PUBLIC),
        ];
        for (name, grantee) in grantees {
            let world = world();
            let (to, on, ann) = (grantee(&world), world.table, world.ann);
            table += &world.with(to, Privilege::Select, on).line(&format!("SELECT on table to {name}"), ann);
        }
        expect![[r#"
                                               meta cat   schema  table    view func
            SELECT on table to ann             .r.v ..r.v ......v S......v .... ....
            SELECT on table to team            .r.v ..r.v ......v S......v .... ....
            SELECT on table to all_teams       .r.v ..r.v ......v S......v .... ....
            SELECT on table to public          .r.v ..r.v ......v S......v .... ....
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn all_three_are_needed_to_read() {
        let world = world();
        let (ann, catalog, schema, table) = (world.ann, world.catalog, world.schema, world.table);
        let reads = |world: &World| {
            let snapshot = world.change.snapshot();
            snapshot.reaches(ann, table) && snapshot.holds(ann, Privilege::Select, table)
        };
        let world = world.with(ann, Privilege::Select, table);
        assert!(!reads(&world));
        let world = world.with(ann, Privilege::UseSchema, schema);
        assert!(!reads(&world));
        let world = world.with(ann, Privilege::UseCatalog, catalog);
        assert!(reads(&world));
    }

    fn of_admin(
        world: &World,
        grantee: ObjectId,
        privilege: Privilege,
        securable: ObjectId,
        grant_option_only: bool,
    ) -> Revocation {
        let grantor = world.change.snapshot().principal("admin").unwrap().id;
        Revocation { grantee, privilege, securable, grantor, grant_option_only, cascade: false }
    }

    #[test]
    fn revoking_all_privileges_takes_the_single_ones_along_but_not_manage() {
        let mut world = world();
        let (ann, table) = (world.ann, world.table);
        for privilege in [Privilege::Select, Privilege::Insert, Privilege::Manage, Privilege::AllPrivileges] {
            world = world.with(ann, privilege, table);
        }
        world.change.revoke(of_admin(&world, ann, Privilege::AllPrivileges, table, false)).unwrap();
        let left: Vec<Privilege> = world.change.snapshot().grants_on(table).map(|grant| grant.privilege).collect();
        assert_eq!(left, [Privilege::Manage]);
    }

    #[test]
    fn revoking_a_single_privilege_leaves_all_privileges() {
        let world = world();
        let (ann, table) = (world.ann, world.table);
        let mut world = world.with(ann, Privilege::AllPrivileges, table);
        world.change.revoke(of_admin(&world, ann, Privilege::Select, table, false)).unwrap();
        assert!(world.change.snapshot().holds(ann, Privilege::Select, table));
    }

    #[test]
    fn the_grant_option_passes_on_one_privilege_only() {
        let mut world = world();
        let (ann, table) = (world.ann, world.table);
        let grantor = world.change.snapshot().principal("admin").unwrap().id;
        world
            .change
            .grant(Grant { grantee: ann, securable: table, privilege: Privilege::Select, grantor, grantable: true })
            .unwrap();
        let snapshot = world.change.snapshot();
        assert!(snapshot.may_grant(ann, Privilege::Select, table));
        assert!(!snapshot.may_grant(ann, Privilege::Insert, table));
        assert!(!snapshot.manages(ann, table));
        world.change.revoke(of_admin(&world, ann, Privilege::Select, table, true)).unwrap();
        assert!(!world.change.snapshot().may_grant(ann, Privilege::Select, table));
        assert!(world.change.snapshot().holds(ann, Privilege::Select, table));
    }

    #[test]
    fn what_is_granted_on_a_container_holds_for_later_objects() {
        let world = world();
        let (ann, catalog, schema) = (world.ann, world.catalog, world.schema);
        let mut world = world.with(ann, Privilege::Select, catalog);
        let owner = world.change.snapshot().principal("owner_t").unwrap().id;
        let later = world
            .change
            .create_relation(NewRelation {
                id: None,
                schema,
                name: "later".to_string(),
                owner,
                columns: vec![],
                comment: None,
                kind: RelationKind::View(ViewEntry { query: "SELECT 1".to_string(), uses: vec![] }),
            })
            .unwrap();
        assert!(world.change.snapshot().holds(ann, Privilege::Select, later));
    }
}
