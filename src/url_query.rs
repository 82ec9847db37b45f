//! The query and the fragment of a URL, whose values can be secrets.

use std::fmt;

/// A URL in three parts. `Display` prints it with `***` for the values of its query and for its fragment.
pub(crate) struct UrlQuery<'u> {
    /// The URL without query and fragment.
    pub(crate) address: &'u str,
    /// The text between `?` and the fragment.
    query: Option<&'u str>,
    /// The text after `#`.
    fragment: Option<&'u str>,
}

impl<'u> UrlQuery<'u> {
    pub(crate) fn of(url: &'u str) -> Self {
        let (rest, fragment) = match url.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (url, None),
        };
        let (address, query) = match rest.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (rest, None),
        };
        Self {
            address,
            query,
            fragment,
        }
    }

    /// The values that can be a secret, each with the text before it that belongs to it: `name=` or `?`
    /// for a parameter, `#` for the fragment. Empty values are left out.
    pub(crate) fn values(&self) -> impl Iterator<Item = (String, &'u str)> {
        let parameters = self.query.into_iter().flat_map(parameters);
        let parameters = parameters.map(|(name, value)| match name {
            Some(name) => (format!("{name}="), value),
            None => ("?".to_owned(), value),
        });
        let fragment = self.fragment.map(|fragment| ("#".to_owned(), fragment));
        parameters
            .chain(fragment)
            .filter(|(_, value)| !value.is_empty())
    }
}

/// The parameters of a query, each with its name if it has one.
fn parameters(query: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, value)) => (Some(name), value),
            None => (None, parameter),
        })
}

impl fmt::Display for UrlQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |value: &str| if value.is_empty() { "" } else { "***" };
        f.write_str(self.address)?;
        for (number, (name, value)) in self.query.into_iter().flat_map(parameters).enumerate() {
            f.write_str(if number == 0 { "?" } else { "&" })?;
            if let Some(name) = name {
                write!(f, "{name}=")?;
            }
            f.write_str(masked(value))?;
        }
        match self.fragment {
            Some(fragment) => write!(f, "#{}", masked(fragment)),
            None => Ok(()),
        }
    }
}
