//! Who may log in from where, and how: the rules of the configuration in order; the first that fits decides.
//!
//! ```text
//!  address, encryption, database, user, groups ─▶ rule ─▶ method ─▶ proof ─▶ name map (if the method tells another name) ─▶ role
//! ```
//! The rules are PostgreSQL's `pg_hba.conf` and `pg_ident.conf` in another dress. A rule by group fits members who exist, so the
//! method that a name is asked for can tell who is in the group; give a group's rule an address of its own where that matters.

use std::net::IpAddr;

use ipnet::IpNet;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::oidc::IssuerOptions;
use crate::error::{Error, ErrorKind, Result};

/// How clients prove who they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthOptions {
    /// Rules in order; the first that fits decides, and who fits none is refused.
    pub rule: Vec<Rule>,
    /// Which names of the outside may log in as which role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub name_map: Vec<NameMapping>,
    /// Who signs JSON Web Tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub issuer: Vec<IssuerOptions>,
}

impl Default for AuthOptions {
    fn default() -> Self {
        let local = Rule { addresses: vec![LOCAL.into()], method: Method::Peer, ..Rule::default() };
        Self { rule: vec![local, Rule::default()], name_map: vec![], issuer: vec![] }
    }
}

/// One rule. A list that is empty fits everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Networks such as `10.0.0.0/8` and `::1/128`, or `local` for the Unix socket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Catalogs asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// Names of users; with `groups`, one of either list is enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Groups that the user is in, however deep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Fits encrypted connections only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// How the client proves who it is.
    pub method: Method,
    /// Name map of the methods `oidc`, `bearer`, `oauth`, `certificate` and `peer`; without one the names must be the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// By its password, which does not travel: SCRAM-SHA-256, bound to the certificate where there is one.
    #[default]
    Scram,
    /// By a personal access token in the place of the password; encrypted connections only.
    Token,
    /// By a JSON Web Token in the place of the password; encrypted connections only.
    Oidc,
    /// By a token of either kind; encrypted connections only.
    Bearer,
    /// By a JSON Web Token that the client fetches itself: SASL's OAUTHBEARER; encrypted connections only.
    Oauth,
    /// By the certificate that it has encrypted the connection with.
    Certificate,
    /// By the user that runs it on this machine; the Unix socket only.
    Peer,
    /// Not at all.
    Reject,
}

impl Method {
    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Scram => "scram",
            Method::Token => "token",
            Method::Oidc => "oidc",
            Method::Bearer => "bearer",
            Method::Oauth => "oauth",
            Method::Certificate => "certificate",
            Method::Peer => "peer",
            Method::Reject => "reject",
        }
    }

    /// Whether the proof is a secret that travels.
    pub const fn sends_secret(self) -> bool {
        matches!(self, Method::Token | Method::Oidc | Method::Bearer | Method::Oauth)
    }
}

/// One line of a name map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameMapping {
    /// The map it belongs to.
    pub map: String,
    /// A name of the outside; behind a slash, a regular expression that must match the whole name.
    pub system: String,
    /// The role; `\1` stands for what the first group of the expression has matched.
    pub role: String,
}

const LOCAL: &str = "local";

/// Somebody who wants in.
pub struct Attempt<'a> {
    /// Where from; `None` for the Unix socket.
    pub address: Option<IpAddr>,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// Catalog asked for.
    pub database: &'a str,
    /// Name asked for.
    pub user: &'a str,
    /// Whether the user is in a group.
    pub is_member: &'a dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { address, encrypted, database, user, is_member: _ } = self;
        write!(f, "{user} on {database} from {address:?}, encrypted: {encrypted}")
    }
}

/// The rules, ready for use.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<(Vec<Place>, Rule)>,
    maps: Vec<(System, NameMapping)>,
}

#[derive(Debug)]
enum Place {
    Local,
    Network(IpNet),
}

#[derive(Debug)]
enum System {
    Name,
    Pattern(Regex),
}

impl Rules {
    /// Reads the rules of the configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the rule or the map.
    pub fn new(options: &AuthOptions) -> Result<Self> {
        let mut rules = Vec::new();
        for (index, rule) in options.rule.iter().enumerate() {
            let places = places(rule).and_then(|places| check(rule, &places, options).map(|()| places));
            let places = places.map_err(|why| invalid(format!("auth.rule number {}: {why}", index + 1)))?;
            rules.push((places, rule.clone()));
        }
        let maps = options.name_map.iter().map(|mapping| Ok((system(mapping)?, mapping.clone()))).collect::<Result<_>>()?;
        Ok(Self { rules, maps })
    }

    /// The first rule that fits.
    pub fn choose(&self, attempt: &Attempt<'_>) -> Option<&Rule> {
        self.rules.iter().find(|(places, rule)| fits(places, rule, attempt)).map(|(_, rule)| rule)
    }

    /// Whether some rule asks for a client's certificate.
    pub fn ask_for_certificates(&self) -> bool {
        self.rules.iter().any(|(_, rule)| rule.method == Method::Certificate)
    }

    /// Whether somebody known outside as one of `systems` may log in as `role`.
    pub fn maps_to(&self, map: Option<&str>, systems: &[String], role: &str) -> bool {
        systems.iter().any(|system| self.roles(map, system).any(|mapped| mapped == role))
    }

    /// The roles that somebody known outside as `system` may log in as, in the order of the map.
    pub fn roles<'a>(&'a self, map: Option<&'a str>, system: &'a str) -> impl Iterator<Item = String> + 'a {
        let same = map.is_none().then(|| system.to_string());
        let lines = self.maps.iter().filter(move |(_, mapping)| Some(mapping.map.as_str()) == map);
        same.into_iter().chain(lines.filter_map(move |(pattern, mapping)| mapped(pattern, mapping, system)))
    }
}

fn mapped(pattern: &System, mapping: &NameMapping, system: &str) -> Option<String> {
    match pattern {
        System::Name => (mapping.system == system).then(|| mapping.role.clone()),
        System::Pattern(regex) => {
            let captures = regex.captures(system)?;
            let first = captures.get(1).map_or("", |found| found.as_str());
            Some(mapping.role.replace("\\1", first))
        }
    }
}

fn fits(places: &[Place], rule: &Rule, attempt: &Attempt<'_>) -> bool {
    let here = |place: &Place| match (place, attempt.address) {
        (Place::Local, address) => address.is_none(),
        (Place::Network(network), Some(address)) => network.contains(&address),
        (Place::Network(_), None) => false,
    };
    let named = |names: &[String], name: &str| names.iter().any(|listed| listed == name);
    let everybody = rule.users.is_empty() && rule.groups.is_empty();
    (places.is_empty() || places.iter().any(here))
        && (rule.databases.is_empty() || named(&rule.databases, attempt.database))
        && (everybody || named(&rule.users, attempt.user) || rule.groups.iter().any(|group| (attempt.is_member)(group)))
        && (!rule.tls || attempt.encrypted)
}

fn places(rule: &Rule) -> std::result::Result<Vec<Place>, String> {
    let place = |text: &String| {
        if text == LOCAL {
            return Ok(Place::Local);
        }
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.map(Place::Network).ok_or_else(|| format!("{text:?} is no network such as 10.0.0.0/8, and not \"local\""))
    };
    rule.addresses.iter().map(place).collect()
}

fn check(rule: &Rule, places: &[Place], options: &AuthOptions) -> std::result::Result<(), String> {
    let method = rule.method.name();
    let local_only = !places.is_empty() && places.iter().all(|place| matches!(place, Place::Local));
    if rule.method == Method::Peer && !local_only {
        return Err("the method peer needs addresses = [\"local\"]".into());
    }
    if local_only && (rule.tls || rule.method.sends_secret() || rule.method == Method::Certificate) {
        return Err(format!("the Unix socket is never encrypted, so the method {method} or tls cannot be used there"));
    }
    if matches!(rule.method, Method::Oidc | Method::Bearer | Method::Oauth) && options.issuer.is_empty() {
        return Err(format!("the method {method} needs an auth.issuer"));
    }
    let Some(map) = &rule.map else { return Ok(()) };
    if matches!(rule.method, Method::Scram | Method::Token | Method::Reject) {
        return Err(format!("the method {method} tells no other name, so there is nothing to map"));
    }
    if !options.name_map.iter().any(|mapping| mapping.map == *map) {
        return Err(format!("there is no auth.name_map with map = {map:?}"));
    }
    Ok(())
}

fn system(mapping: &NameMapping) -> Result<System> {
    let Some(pattern) = mapping.system.strip_prefix('/') else { return Ok(System::Name) };
    Regex::new(&format!("^(?:{pattern})$")).map(System::Pattern).map_err(|error| {
        invalid(format!("auth.name_map {:?}: {:?} is no regular expression", mapping.map, mapping.system)).with_source(error)
    })
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<Rules> {
        Rules::new(&toml::from_str(text).unwrap())
    }

    fn choose(rules: &Rules, address: &str, encrypted: bool, database: &str, user: &str) -> Option<Method> {
        let is_member = |group: &str| group == "analysts" && user == "ada";
        let address = (address != LOCAL).then(|| address.parse().unwrap());
        rules.choose(&Attempt { address, encrypted, database, user, is_member: &is_member }).map(|rule| rule.method)
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = rules(
            r#"
            [[rule]]
            addresses = ["local"]
            method = "peer"
            [[rule]]
            addresses = ["10.9.0.0/16", "::1"]
            method = "reject"
            [[rule]]
            users = ["token"]
            tls = true
            method = "token"
            [[rule]]
            databases = ["main"]
            groups = ["analysts"]
            users = ["root"]
            method = "certificate"
            [[rule]]
            addresses = ["10.0.0.0/8"]
            method = "scram"
            "#,
        )
        .unwrap();
        for (address, encrypted, database, user, expected) in [
            ("local", false, "main", "ada", Some(Method::Peer)),
            ("10.9.1.1", true, "main", "ada", Some(Method::Reject)),
            ("::1", true, "main", "token", Some(Method::Reject)),
            ("::2", true, "main", "token", Some(Method::Token)),
            ("10.1.1.1", false, "main", "token", Some(Method::Scram)),
            ("10.1.1.1", true, "main", "ada", Some(Method::Certificate)),
            ("10.1.1.1", true, "main", "root", Some(Method::Certificate)),
            ("10.1.1.1", true, "main", "bob", Some(Method::Scram)),
            ("10.1.1.1", true, "other", "ada", Some(Method::Scram)),
            ("11.1.1.1", true, "other", "ada", None),
        ] {
            assert_eq!(choose(&rules, address, encrypted, database, user), expected, "{address} {encrypted} {database} {user}");
        }
    }

    #[test]
    fn the_default_is_scram_for_everybody_and_peer_on_the_socket() {
        let rules = Rules::new(&AuthOptions::default()).unwrap();
        assert_eq!(choose(&rules, "192.0.2.1", false, "x", "y"), Some(Method::Scram));
        assert_eq!(choose(&rules, "2001:db8::1", true, "x", "token"), Some(Method::Scram));
        assert_eq!(choose(&rules, "local", false, "x", "y"), Some(Method::Peer));
    }

    #[test]
    fn rules_that_cannot_hold_are_named() {
        for (text, part) in [
            ("[[rule]]\nmethod = \"peer\"", "needs addresses = [\"local\"]"),
            ("[[rule]]\naddresses = [\"local\"]\nmethod = \"token\"", "never encrypted"),
            ("[[rule]]\naddresses = [\"10.0.0.0/33\"]", "is no network"),
            ("[[rule]]\nmethod = \"oidc\"", "needs an auth.issuer"),
            ("[[rule]]\nmethod = \"certificate\"\nmap = \"m\"", "no auth.name_map"),
            ("[[rule]]\nmethod = \"scram\"\nmap = \"m\"", "nothing to map"),
            ("name_map = [{ map = \"m\", system = \"/(\", role = \"r\" }]", "no regular expression"),
        ] {
            let error = rules(text).unwrap_err();
            assert!(error.message().contains(part), "{text}: {error}");
        }
        assert!(toml::from_str::<AuthOptions>("[[rule]]\nmethod = \"trust\"").is_err());
        assert!(toml::from_str::<AuthOptions>("[[rule]]\nadress = []").is_err());
    }

    #[test]
    fn names_are_mapped_whole() {
        let rules = rules(
            r#"
            [[name_map]]
            map = "ops"
            system = "root"
            role = "admin"
            [[name_map]]
            map = "ops"
            system = '/(\w+)@example\.com'
            role = '\1'
            "#,
        )
        .unwrap();
        let maps = |map, system: &str, role| rules.maps_to(map, &[system.to_string()], role);
        assert!(maps(None, "ada", "ada") && !maps(None, "ada", "bob"));
        assert!(maps(Some("ops"), "root", "admin") && !maps(Some("ops"), "root", "root"));
        assert!(maps(Some("ops"), "ada@example.com", "ada"));
        for system in ["ada@example.com.evil.org", "x ada@example.com", "ada@exampleXcom", "admin"] {
            assert!(!maps(Some("ops"), system, "ada") && !maps(Some("ops"), system, "admin"), "{system}");
        }
        assert!(!maps(Some("nosuch"), "ada", "ada"));
    }
}
