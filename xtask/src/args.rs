//! The words and options after `cargo xtask`.

use anyhow::{Result, bail};

/// What is left to be read of the command line.
pub struct Args(Vec<String>);

impl Args {
    /// All arguments, in the order given.
    pub fn new(arguments: impl IntoIterator<Item = String>) -> Self {
        Self(arguments.into_iter().collect())
    }

    /// The next argument that is not an option. Read options that take a value first.
    pub fn word(&mut self) -> Option<String> {
        let at = self.0.iter().position(|argument| !argument.starts_with('-'))?;
        Some(self.0.remove(at))
    }

    /// Whether `name` was given.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() < before
    }

    /// The value of `name`, given as `name VALUE` or `name=VALUE`.
    ///
    /// # Errors
    /// When the value is missing.
    pub fn option(&mut self, name: &str) -> Result<Option<String>> {
        if let Some(at) = self.0.iter().position(|argument| argument == name) {
            if at + 1 == self.0.len() {
                bail!("{name} needs a value");
            }
            self.0.remove(at);
            return Ok(Some(self.0.remove(at)));
        }
        let prefix = format!("{name}=");
        let at = self.0.iter().position(|argument| argument.starts_with(&prefix));
        Ok(at.map(|at| self.0.remove(at)[prefix.len()..].to_owned()))
    }

    /// Everything that is left, for another program.
    pub fn rest(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0)
    }

    /// Checks that everything was understood.
    ///
    /// # Errors
    /// Names the first argument that was not.
    pub fn end(&self) -> Result<()> {
        match self.0.first() {
            Some(argument) => bail!("don't know what to do with {argument:?}; see `cargo xtask help`"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::new(line.split_whitespace().map(String::from))
    }

    #[test]
    fn words_flags_and_options_come_in_any_order() {
        let mut line = args("web --port 81 --serve");
        assert_eq!(line.word().as_deref(), Some("web"));
        assert!(line.flag("--serve") && !line.flag("--serve"));
        assert_eq!(line.option("--port").unwrap().as_deref(), Some("81"));
        assert!(line.end().is_ok());
        assert_eq!(args("--only=fmt,lint").option("--only").unwrap().as_deref(), Some("fmt,lint"));
    }

    #[test]
    fn what_another_program_understands_is_handed_on() {
        let mut line = args("bench --python py --pairs 3 -- --images 2");
        assert_eq!(
            (line.word().as_deref(), line.option("--python").unwrap().as_deref()),
            (Some("bench"), Some("py"))
        );
        assert_eq!(line.rest(), ["--pairs", "3", "--", "--images", "2"]);
        assert!(line.end().is_ok());
    }

    #[test]
    fn what_is_not_understood_is_said() {
        assert!(args("--only").option("--only").is_err());
        assert!(args("--stages fmt").end().is_err());
    }
}
