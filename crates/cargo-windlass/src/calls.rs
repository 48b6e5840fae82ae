//! The calls on the command line: `add 3 5 --then greet bob`.

use windlass_host::{Signature, Value};

use cargo_windlass::error::{Error, Result};

/// The words between two calls.
const BETWEEN: [&str; 2] = [",", "--then"];

/// One call: an export and the words after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    words: &'a [String],
}

impl<'a> Call<'a> {
    /// Splits the words of a command line into calls.
    pub(crate) fn all(words: &'a [String]) -> Result<Vec<Self>> {
        words
            .split(|word| BETWEEN.contains(&word.as_str()))
            .map(|call| match call.split_first() {
                Some((name, words)) => Ok(Self { name, words }),
                None => Err(Error::new("there is no call before or after `,` or `--then`")),
            })
            .collect()
    }

    /// The arguments, read as the types of the export's parameters.
    pub(crate) fn arguments(&self, signatures: &[Signature]) -> Result<Vec<Value>> {
        let Some(signature) = signatures.iter().find(|signature| signature.name == self.name) else {
            return Err(Error::new(format!(
                "there is no export `{}`; there {}",
                self.name,
                overview(signatures)
            )));
        };
        if self.words.len() != signature.params.len() {
            return Err(Error::new(format!(
                "`{signature}`: {} arguments are wanted, and {} given",
                signature.params.len(),
                self.words.len()
            )));
        }
        self.words
            .iter()
            .zip(&signature.params)
            .map(|(word, &ty)| {
                Value::parse(ty, word).map_err(|error| Error::new(error.to_string()).within(signature))
            })
            .collect()
    }
}

/// A list of exports, to follow the word `there`.
pub(crate) fn overview(signatures: &[Signature]) -> String {
    if signatures.is_empty() {
        return "are none; an export is a function with `#[windlass::export]`".into();
    }
    let all: Vec<String> = signatures.iter().map(Signature::to_string).collect();
    format!("are:\n  {}", all.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::Call;
    use windlass_host::{Signature, Type, Value};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(String::from).collect()
    }

    fn signatures() -> Vec<Signature> {
        let signature = |name: &str, params: &[Type]| Signature {
            name: name.into(),
            params: params.to_vec(),
            result: None,
        };
        vec![signature("add", &[Type::I32, Type::I64]), signature("greet", &[Type::String])]
    }

    #[test]
    fn calls_are_split_at_their_own_words_only() {
        let line = words("add -3 5 , greet a,b --then greet --also");
        let calls = Call::all(&line).expect("three calls");
        let names: Vec<&str> = calls.iter().map(|call| call.name).collect();
        assert_eq!(names, ["add", "greet", "greet"]);
        let arguments: Vec<_> =
            calls.iter().map(|call| call.arguments(&signatures()).expect("the right types")).collect();
        assert_eq!(arguments[0], [Value::I32(-3), Value::I64(5)]);
        assert_eq!(arguments[1], [Value::String("a,b".into())]);
        assert_eq!(arguments[2], [Value::String("--also".into())]);
    }

    #[test]
    fn an_empty_call_is_refused() {
        for line in ["add 1 2 ,", ", add 1 2", "add 1 2 , --then add 1 2"] {
            assert!(Call::all(&words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, text) in [
            ("ad 1 2", "add(i32, i64)"),
            ("add 1", "2 arguments are wanted, and 1 given"),
            ("add 1 two", "two"),
            ("add 3000000000 1", "3000000000"),
        ] {
            let line = words(line);
            let calls = Call::all(&line).expect("one call");
            let error = calls[0].arguments(&signatures()).expect_err("does not fit").to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
