//! What a person has settled for every command: variables, and a configuration file. A flag comes before both.

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dinoscope_core::device::DeviceChoice;
use dinoscope_core::weights::download;
use egui::ThemePreference;
use serde::Deserialize;
use toml::Spanned;

use super::UsageError;
use crate::platform::storage;

/// Names the configuration file, in place of the usual one.
pub const CONFIG: &str = "DINOSCOPE_CONFIG";
const DEVICE: &str = "DINOSCOPE_DEVICE";
const RUNS: &str = "DINOSCOPE_RUNS";
const CACHE: &str = "DINOSCOPE_CACHE";
const THEME: &str = "DINOSCOPE_THEME";

/// Where a value is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOrigin {
    /// A variable of the environment.
    Variable(&'static str),
    /// The configuration file.
    File,
    /// Nobody has said anything.
    Default,
}

impl fmt::Display for ConfigOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File => f.write_str("configuration file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigValue<T> {
    /// The value.
    pub value: T,
    /// Where it is from.
    pub origin: ConfigOrigin,
}

impl<T: Clone> ConfigValue<T> {
    /// The value, unless nobody has said anything.
    pub fn said(&self) -> Option<T> {
        (self.origin != ConfigOrigin::Default).then(|| self.value.clone())
    }
}

/// What holds where no flag says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliConfig {
    /// The configuration file, whether it is there or not; nothing without a home folder.
    pub file: Option<PathBuf>,
    /// Whether the file is there.
    pub found: bool,
    /// What computes.
    pub device: ConfigValue<DeviceChoice>,
    /// The folder that new runs are made in.
    pub runs: ConfigValue<PathBuf>,
    /// The folder for pulled weights and computed features.
    pub cache: ConfigValue<PathBuf>,
    /// How the studio looks.
    pub theme: ConfigValue<ThemePreference>,
}

impl Default for CliConfig {
    fn default() -> Self {
        Self {
            file: None,
            found: false,
            device: ConfigValue { value: DeviceChoice::Auto, origin: ConfigOrigin::Default },
            runs: ConfigValue { value: PathBuf::from("runs"), origin: ConfigOrigin::Default },
            cache: ConfigValue { value: download::cache_folder(), origin: ConfigOrigin::Default },
            theme: ConfigValue { value: ThemePreference::System, origin: ConfigOrigin::Default },
        }
    }
}

static HOLDS: OnceLock<CliConfig> = OnceLock::new();

/// Reads variables and file; from here on [`get`] gives what they say.
pub fn load() -> Result<(), UsageError> {
    let settings = read(&|name| std::env::var_os(name), storage::settings_file()).map_err(UsageError)?;
    if let Some(cache) = settings.cache.said() {
        download::keep_in(cache);
    }
    HOLDS.get_or_init(|| settings);
    Ok(())
}

/// What holds where no flag says otherwise.
pub fn get() -> &'static CliConfig {
    HOLDS.get_or_init(CliConfig::default)
}

/// What the file may say.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CliConfigFile {
    device: Option<Spanned<String>>,
    runs: Option<Spanned<String>>,
    cache: Option<Spanned<String>>,
    theme: Option<Spanned<String>>,
}

/// `beside` is a file in the folder that the usual configuration file lies in.
fn read(variable: &dyn Fn(&str) -> Option<OsString>, beside: Option<PathBuf>) -> Result<CliConfig, String> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let named = variable(CONFIG).map(PathBuf::from);
    let asked = named.is_some();
    let file = named.or_else(|| Some(beside?.with_file_name("config.toml")));
    let home = ["HOME", "USERPROFILE"].iter().find_map(|name| variable(name)).map(PathBuf::from);
    let mut settings = CliConfig { file: file.clone(), ..CliConfig::default() };
    if let Some(file) = file {
        match std::fs::read(&file) {
            Ok(bytes) => {
                settings.found = true;
                let text = String::from_utf8(bytes)
                    .map_err(|_| format!("the configuration file {} is not UTF-8 text", file.display()))?;
                settings.take_file(&text, home.as_deref()).map_err(|(line, reason)| {
                    format!("the configuration file {}, line {line}: {reason}", file.display())
                })?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !asked => {}
            Err(error) => {
                let by = if asked { format!(" ({CONFIG})") } else { String::new() };
                return Err(format!("can't read the configuration file {}{by}: {error}", file.display()));
            }
        }
    }
    let text = |name: &'static str| {
        let value = variable(name)?;
        Some(value.into_string().map_err(|_| format!("{name} is not UTF-8 text")))
    };
    let said = |name: &'static str| move |reason: String| format!("{name}: {reason}");
    if let Some(value) = text(DEVICE).transpose()? {
        settings.device = ConfigValue {
            value: device(&value).map_err(said(DEVICE))?,
            origin: ConfigOrigin::Variable(DEVICE),
        };
    }
    if let Some(value) = text(THEME).transpose()? {
        settings.theme =
            ConfigValue { value: theme(&value).map_err(said(THEME))?, origin: ConfigOrigin::Variable(THEME) };
    }
    // A shell's variable means a folder as the shell sees it.
    let folder = |value: OsString, name| {
        let value = std::path::absolute(&value).map_err(|error| format!("{name}: {error}"))?;
        Ok::<_, String>(ConfigValue { value, origin: ConfigOrigin::Variable(name) })
    };
    if let Some(value) = variable(RUNS) {
        settings.runs = folder(value, RUNS)?;
    }
    if let Some(value) = variable(CACHE) {
        settings.cache = folder(value, CACHE)?;
    }
    Ok(settings)
}

impl CliConfig {
    /// Takes what the file says; a line and a reason where it can't be.
    fn take_file(&mut self, text: &str, home: Option<&Path>) -> Result<(), (usize, String)> {
        let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let written: CliConfigFile = toml::from_str(text).map_err(|error| {
            (line(error.span().map_or(0, |span| span.start)), error.message().trim().replace('\n', ": "))
        })?;
        fn checked<T>(
            written: Option<Spanned<String>>,
            line: impl Fn(usize) -> usize,
            read: impl Fn(&str) -> Result<T, String>,
        ) -> Result<Option<ConfigValue<T>>, (usize, String)> {
            let Some(written) = written else { return Ok(None) };
            let value = read(written.get_ref()).map_err(|reason| (line(written.span().start), reason))?;
            Ok(Some(ConfigValue { value, origin: ConfigOrigin::File }))
        }
        let folder = |text: &str| folder(text, home);
        if let Some(device) = checked(written.device, line, device)? {
            self.device = device;
        }
        if let Some(runs) = checked(written.runs, line, folder)? {
            self.runs = runs;
        }
        if let Some(cache) = checked(written.cache, line, folder)? {
            self.cache = cache;
        }
        if let Some(theme) = checked(written.theme, line, theme)? {
            self.theme = theme;
        }
        Ok(())
    }
}

fn device(text: &str) -> Result<DeviceChoice, String> {
    text.parse().map_err(|error: dinoscope_core::device::DeviceError| error.to_string())
}

fn theme(text: &str) -> Result<ThemePreference, String> {
    match text {
        "dark" => Ok(ThemePreference::Dark),
        "light" => Ok(ThemePreference::Light),
        "system" => Ok(ThemePreference::System),
        _ => Err(format!("there is no theme `{text}`: use dark, light or system")),
    }
}

/// The word for a theme.
pub fn theme_word(theme: ThemePreference) -> &'static str {
    match theme {
        ThemePreference::Dark => "dark",
        ThemePreference::Light => "light",
        ThemePreference::System => "system",
    }
}

/// A folder that the file names. It holds wherever the program is started, so it can't be relative.
fn folder(text: &str, home: Option<&Path>) -> Result<PathBuf, String> {
    let path = Path::new(text);
    match (path.strip_prefix("~"), home) {
        (Ok(below), Some(home)) => Ok(home.join(below)),
        _ if dinoscope_core::files::is_absolute(path) => Ok(path.to_owned()),
        _ => Err(format!("`{text}` has to be a whole path, or one that begins with ~/")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read_with(variables: &[(&str, &str)], file: &Path) -> Result<CliConfig, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        read(&variable, Some(file.with_file_name("studio.json")))
    }

    #[test]
    fn variables_come_before_the_file_and_the_file_before_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let nothing = read_with(&[], &file).unwrap();
        assert_eq!(nothing, CliConfig { file: Some(file.clone()), ..CliConfig::default() });
        assert!(nothing.device.said().is_none() && nothing.runs.value == Path::new("runs"));

        std::fs::write(&file, "# mine\ndevice = \"cpu\"\nruns = \"~/runs\"\ntheme = \"light\"\n").unwrap();
        let home = ("HOME", folder.path().to_str().unwrap());
        let said = read_with(&[home], &file).unwrap();
        assert_eq!(said.device, ConfigValue { value: DeviceChoice::Cpu, origin: ConfigOrigin::File });
        assert_eq!(said.runs, ConfigValue { value: folder.path().join("runs"), origin: ConfigOrigin::File });
        assert_eq!(said.theme.said(), Some(ThemePreference::Light));
        assert_eq!(said.cache.origin, ConfigOrigin::Default);

        // An empty variable is none; a relative folder is one of the shell's.
        let variables = [home, (DEVICE, "gpu:1"), (THEME, ""), (CACHE, "kept")];
        let said = read_with(&variables, &file).unwrap();
        assert_eq!(
            said.device,
            ConfigValue { value: DeviceChoice::Gpu(1), origin: ConfigOrigin::Variable(DEVICE) }
        );
        assert_eq!(said.theme.origin, ConfigOrigin::File);
        assert_eq!(said.cache.value, std::env::current_dir().unwrap().join("kept"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let cases = [
            (
                "theme = \"dark\"\n\ndevise = \"cpu\"\n",
                3,
                "expected one of `device`, `runs`, `cache`, `theme`",
            ),
            ("device = \"tpu\"\n", 1, "gpu:N"),
            ("# a\ntheme = \"pink\"\n", 2, "dark, light or system"),
            ("# a\n# b\nruns = \"runs\"\n", 3, "whole path"),
            ("cache = 3\n", 1, "expected a string"),
            ("device = cpu\n", 1, ""),
            ("[train]\nbatch = 3\n", 1, "unknown field `train`"),
        ];
        for (text, line, wanted) in cases {
            std::fs::write(&file, text).unwrap();
            let error = read_with(&[], &file).unwrap_err();
            let place = format!("{}, line {line}: ", file.display());
            assert!(error.contains(&place) && error.contains(wanted), "{text}: {error}");
        }
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(read_with(&[], &file).unwrap_err().contains("UTF-8"));
        std::fs::remove_file(&file).unwrap();
        for (name, value, wanted) in [
            (DEVICE, "tpu", "gpu:N"),
            (THEME, "pink", "dark"),
            (CONFIG, "/nowhere/mine.toml", "/nowhere/mine.toml"),
        ] {
            let error = read_with(&[(name, value)], &file).unwrap_err();
            assert!(error.contains(name) && error.contains(wanted), "{error}");
        }
    }
}
