//! The published description of the API of a forge. `descriptions/extract.py` has extracted the
//! operations that the program uses.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::{Kind, Request, Response, decoded};

static GITHUB: LazyLock<Description> =
    LazyLock::new(|| Description::new(include_str!("descriptions/github.json")));
static GITLAB: LazyLock<Description> =
    LazyLock::new(|| Description::new(include_str!("descriptions/gitlab.json")));
static GITEA: LazyLock<Description> =
    LazyLock::new(|| Description::new(include_str!("descriptions/gitea.json")));
static FORGEJO: LazyLock<Description> =
    LazyLock::new(|| Description::new(include_str!("descriptions/forgejo.json")));

/// The description of one API.
pub(super) struct Description {
    operations: Vec<Operation>,
    graphql: Value,
}

/// One method of one path.
struct Operation {
    /// The method and the path, as in `GET /repos/{owner}/{repo}`.
    name: String,
    /// The schema of the query.
    query: Value,
    is_valid_query: Validator,
    /// `None` if a request has no body.
    is_valid_body: Option<Validator>,
    /// By status.
    responses: Vec<(u16, Validator)>,
}

impl Description {
    pub(super) fn of(kind: Kind) -> &'static Self {
        match kind {
            Kind::GitHub => &GITHUB,
            Kind::GitLab => &GITLAB,
            Kind::Gitea => &GITEA,
            Kind::Forgejo => &FORGEJO,
        }
    }

    fn new(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).unwrap();
        let compiled = |schema: &Value| jsonschema::validator_for(schema).unwrap();
        let operation = |(name, described): (&String, &Value)| Operation {
            name: name.clone(),
            query: described["query"].clone(),
            is_valid_query: compiled(&described["query"]),
            is_valid_body: described.get("body").map(compiled),
            responses: described["responses"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(status, schema)| (status.parse().unwrap(), compiled(schema)))
                .collect(),
        };
        let operations = document["operations"].as_object().unwrap();
        Self {
            operations: operations.iter().map(operation).collect(),
            graphql: document["graphql"].clone(),
        }
    }

    /// The differences of a request from the description. `target` is the target without the path of
    /// the API.
    pub(super) fn check_request(&self, request: &Request, target: &str) -> Vec<String> {
        if target == "/graphql" {
            return self
                .check_graphql(&request.body)
                .err()
                .into_iter()
                .collect();
        }
        let Some(operation) = self.operation(&request.method, target) else {
            return vec![format!("{} {target} is not documented", request.method)];
        };
        let query = operation.query_of(target);
        let body = match (&operation.is_valid_body, &request.body) {
            (Some(validator), body) => errors(validator, body),
            (None, Value::Null) => Vec::new(),
            (None, _) => vec!["it has no body".to_owned()],
        };
        let found = errors(&operation.is_valid_query, &query)
            .into_iter()
            .chain(body);
        found
            .map(|error| format!("request {}: {error}", operation.name))
            .collect()
    }

    /// The differences of a response from the description.
    pub(super) fn check_response(
        &self,
        request: &Request,
        target: &str,
        response: &Response,
    ) -> Vec<String> {
        let Some(operation) = self.operation(&request.method, target) else {
            return Vec::new();
        };
        let documented = operation.responses.iter();
        let found = documented
            .clone()
            .find(|(status, _)| *status == response.status);
        let body = serde_json::from_str(&response.body).unwrap_or(Value::Null);
        let found = match found {
            Some((_, validator)) => errors(validator, &body),
            None => vec![format!("status {} is not documented", response.status)],
        };
        found
            .into_iter()
            .map(|error| format!("response to {}: {error}", operation.name))
            .collect()
    }

    fn operation(&self, method: &str, target: &str) -> Option<&Operation> {
        let path = target.split('?').next().unwrap();
        let is_of = |operation: &&Operation| {
            let (of_method, of_path) = operation.name.split_once(' ').unwrap();
            let parts = || of_path.split('/').zip(path.split('/'));
            of_method == method
                && of_path.split('/').count() == path.split('/').count()
                && parts().all(|(known, part)| known == part || known.starts_with('{'))
        };
        self.operations.iter().find(is_of)
    }

    /// Checks the mutation that enables auto-merge: the names and types of its variables, the fields
    /// of its input, and the selected fields of its result.
    fn check_graphql(&self, body: &Value) -> Result<(), String> {
        let query = body["query"].as_str().unwrap();
        let input = &self.graphql["input"];
        let mutation = self.graphql["mutation"].as_str().unwrap();
        let head = format!("{mutation}(input:{{");
        let plain: String = query.split_whitespace().collect();
        let rest = plain.strip_prefix("mutation(").ok_or("no mutation")?;
        let (variables, rest) = rest.split_once("){").ok_or("no variables")?;
        let rest = rest.strip_prefix(&head).ok_or("another mutation")?;
        let (fields, selection) = rest.split_once("}){").ok_or("no selection")?;

        let declared: Vec<_> = pairs(variables).collect();
        for (field, variable) in pairs(fields) {
            let expected = input[field].as_str().ok_or(format!("no input `{field}`"))?;
            let of_variable = declared.iter().find(|(name, _)| *name == variable);
            let (_, kind) = of_variable.ok_or(format!("no variable `{variable}`"))?;
            if kind.trim_end_matches('!') != expected.trim_end_matches('!')
                || (expected.ends_with('!') && !kind.ends_with('!'))
            {
                return Err(format!("`{variable}` is {kind}, `{field}` is {expected}"));
            }
            let value = &body["variables"][variable.trim_start_matches('$')];
            let values = self.graphql.get(expected).and_then(Value::as_array);
            if !value.is_string() || values.is_some_and(|values| !values.contains(value)) {
                return Err(format!("`{variable}` has the value {value}"));
            }
        }
        let required = input.as_object().unwrap().iter();
        let required = required.filter(|(_, kind)| kind.as_str().unwrap().ends_with('!'));
        for (name, _) in required {
            if !pairs(fields).any(|(field, _)| field == name) {
                return Err(format!("no `{name}`"));
            }
        }
        let selected = selection.trim_end_matches('}');
        match self.graphql["payload"].get(selected) {
            Some(_) => Ok(()),
            None => Err(format!("the result has no `{selected}`")),
        }
    }
}

impl Operation {
    /// The query of a target as a document: numbers where the description has numbers.
    fn query_of(&self, target: &str) -> Value {
        let (_, query) = target.split_once('?').unwrap_or_default();
        let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = |name: &str, text: &str| {
            let kind = &self.query["properties"][name]["type"];
            let number = text.parse::<u64>().ok();
            match number.filter(|_| *kind == "integer" || *kind == "number") {
                Some(number) => Value::from(number),
                None => Value::from(decoded(text)),
            }
        };
        let fields: Map<_, _> = parameters
            .map(|(name, text)| (name.to_owned(), value(name, text)))
            .collect();
        Value::Object(fields)
    }
}

/// The pairs in a list without spaces, as in `name:value,name:value`.
fn pairs(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.split(',').filter_map(|pair| pair.split_once(':'))
}

fn errors(validator: &Validator, value: &Value) -> Vec<String> {
    validator
        .iter_errors(value)
        .map(|error| format!("{error} at `{}`", error.instance_path()))
        .collect()
}
