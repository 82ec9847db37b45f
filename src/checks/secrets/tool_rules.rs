//! The table of passwords and tokens whose place names them: a header, an option of a command, a
//! setting of a tool. The service is not known.

use super::rule::Proof::{Account, Header, Password};
use super::rule::{SecretRule, inside, setting};

/// The secrets in places of tools. Of two rules that match the same text, the first one reports it.
pub(super) const TOOLS: &[SecretRule] = &[
    setting("basic-account", "a user and password in base64", &["basic "], r"(?i:basic) {1,2}([A-Za-z0-9+/_-]{12,400}={0,2})").with(Account),
    setting("basic-account", "a user and password in base64", &["_auth", "_password"], r#"_(?:auth|password)[ \t]{0,4}=[ \t]{0,4}"?([A-Za-z0-9+/]{12,400}={0,2})"#).with(Account),
    setting("basic-account", "a user and password in base64", &["\"auth\""], r#""auth"[ \t]{0,8}:\s{0,8}"([A-Za-z0-9+/]{12,400}={0,2})"#).with(Account),
    setting("bearer-token", "a bearer token", &["bearer "], r"(?i:bearer) {1,2}([A-Za-z0-9_~+/.-]{20,1000}={0,2})").with(Header),
    // Any scheme but Basic, whose value is that of the first rule.
    setting("api-key-header", "an API key in a header", &["x-api-key", "x-auth-token", "api-key", "apikey", "private-token", "x-access-token", "access-token", "auth-token", "authorization"],
        concat!(r#"(?i:(?:x-)?"#, r#"(?:api-?key|auth-token|private-token|access-token|authorization))\\?["']?:[ \t]{0,4}\\?["']?(?:(?:[AC-Zac-z]|[Bb][b-z])[A-Za-z0-9-]{1,24} (?:[A-Za-z_]{2,16}=)?\\?["']?)?\\?["']?([A-Za-z0-9_~+/.-]{20,400}={0,2})"#)).with(Header),
    setting("netrc-password", "a password of netrc", &["machine "], r"machine[ \t]\S{1,200}\s{1,20}login\s{1,8}\S{1,100}\s{1,20}password\s{1,8}(\S{8,200})").with(Password),
    setting("connection-password", "a password of a connection", &[";password=", ";pwd=", "; password=", "; pwd=", "&password=", "?password=", "&amp;password=", " password=", "--password"],
        concat!(r#"[;&?\s-](?:amp;)?[ ]?(?i:password|pwd)[ ]?[= ][ ]?["']?("#, r#"[^;&\s"'<>`|\\]{8,128})"#)).with(Password),
    setting("connection-password", "a password of a connection", &["pgpassword", "mysql_pwd", "sshpass -p", "redis-cli -a", "rediscli_auth"],
        concat!(r#"(?i:PGPASSWORD[=: ]{1,3}|MYSQL_PWD[=: ]{1,3}|REDISCLI_AUTH"#, r#"[=: ]{1,3}|sshpass -p ?|redis-cli -a )["']?("#, r#"[^;&\s"'<>`|\\]{8,128})"#)).with(Password),
    setting("connection-password", "a password of a connection", &["cleartextpassword"], r#"(?i:ClearTextPassword)["']?[ \t]{1,8}value=["']([^"'<>\s]{8,128})"#).with(Password),
    inside("connection-password", "a password of a connection", &[":5432:", ":3306:", ":5433:"], r"[^\s:]{1,100}:(?:5432|5433|3306):[^\s:/]{1,60}:[^\s:/]{1,60}:([^\s:/@]{8,100})").with(Password),
    setting("user-password", "a password of a user", &["-u ", "--user ", "-u\"", "-u'"], r#"(?:-u|--user)[ =]?["']?[A-Za-z0-9_.@+-]{1,64}:([^\s"'<>`|\\:/@]{8,128})"#).with(Password),
];
