//! The committed JSON schema of `anyarch.toml`: it is what the code generates, it knows the keys that the reader knows,
//! and every configuration that we show is valid by it. `ANYARCH_UPDATE_SCHEMA=1 cargo test schema` writes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyarch::config::{self, ConfigError};
use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::Value;

use crate::support::repository;

const PATH: &str = "schema/anyarch.schema.json";

#[test]
fn the_schema_is_what_the_reader_says() {
    let path = repository().join(PATH);
    let wanted = config::schema::json();
    if std::env::var_os("ANYARCH_UPDATE_SCHEMA").is_some() {
        fs::write(&path, &wanted).expect("the schema can be written");
    }
    let committed = fs::read_to_string(&path).expect("the schema can be read");
    assert!(committed == wanted, "{PATH} is out of date\nhint: ANYARCH_UPDATE_SCHEMA=1 cargo test schema");
}

fn schema() -> Value {
    serde_json::from_str(&config::schema::json()).expect("the schema is JSON")
}

/// The keys that a table of the schema has, by the JSON pointer of the table.
fn described(pointer: &str) -> BTreeSet<String> {
    let schema = schema();
    let table = schema.pointer(pointer).unwrap_or_else(|| panic!("the schema has no `{pointer}`"));
    table["properties"].as_object().expect("a table has properties").keys().cloned().collect()
}

/// The keys that the reader knows in the table that `header` opens, as it says itself of a key that is none.
fn known(header: &str) -> BTreeSet<String> {
    match config::load(&format!("{header}\n\"\" = 0\n"), Path::new("anyarch.toml")) {
        Err(ConfigError::UnknownKey { known, .. }) => known.into_iter().collect(),
        other => panic!("`{header}` takes an empty key: {other:?}"),
    }
}

#[test]
fn the_schema_has_the_keys_of_the_reader() {
    for (header, pointer) in [
        ("", ""),
        ("[[image]]", "/definitions/ImageFile"),
        ("[[file]]", "/definitions/FileEntry"),
        ("[[image]]\n[[image.file]]", "/definitions/FileEntry"),
        ("[[program]]", "/definitions/ProgramFile"),
        ("[[program]]\n[program.sysroot]", "/definitions/DebianWish"),
        ("[[program]]\n[program.platform.\"linux/386\"]", "/definitions/ProgramSettings"),
        ("[registry.\"docker.io\"]", "/definitions/RegistryFile"),
    ] {
        assert_eq!(described(pointer), known(header), "{header}");
    }
}

/// A checker of configurations, as an editor is one.
struct Checker(Schemas, SchemaIndex);

impl Checker {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V7);
        compiler.add_resource("anyarch.json", schema()).expect("the schema can be added");
        let index = compiler.compile("anyarch.json", &mut schemas).expect("the schema is one of draft 7");
        Self(schemas, index)
    }

    fn check(&self, text: &str) -> Result<(), String> {
        let value: toml::Value = toml::from_str(text).map_err(|error| error.to_string())?;
        self.0.validate(&as_json(value), self.1).map_err(|error| error.to_string())
    }
}

/// TOML as editors check it: a date is its text.
fn as_json(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(as_json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, as_json(value))).collect(),
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
    }
}

#[test]
fn every_configuration_that_we_show_is_valid() {
    let checker = Checker::new();
    let mut configurations: Vec<(String, String)> = Vec::new();
    let readme = fs::read_to_string(repository().join("README.md")).expect("README.md can be read");
    for block in readme.split("```toml test\n").skip(1) {
        let (block, _) = block.split_once("\n```").expect("a block is closed");
        configurations.push(("README.md".into(), block.to_owned()));
    }
    for entry in fs::read_dir(repository().join("examples")).expect("there are examples") {
        let path = entry.expect("a folder can be read").path().join(config::FILE_NAME);
        if let Ok(text) = fs::read_to_string(&path) {
            configurations.push((path.display().to_string(), text));
        }
    }
    assert!(configurations.len() > 1, "there are configurations to check");
    for (name, text) in configurations {
        config::load(&text, Path::new(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        checker.check(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn what_the_reader_takes_is_valid_and_what_it_refuses_mostly_not() {
    let checker = Checker::new();
    for text in [
        "created = 2026-01-31T12:00:00Z\n",
        "created = \"commit\"\nports = [8080, \"53/udp\"]\n",
        "env = [\"A=1\"]\ntags = \"app:1\"\nplatforms = \"all\"\n",
        "platforms = [\"arm64\", \"linux/arm/v7\"]\n",
        "[labels]\norg.opencontainers.image.title = \"x\"\n\"a.b\" = \"y\"\n",
        "[[file]]\nsource = \"a\"\ndestination = \"/\"\nmode = \"0o755\"\nignored = true\n",
        "[[program]]\nlibc = \"gnu.2.28\"\nldflags = \"-s\"\nplatform.\"linux/arm/v7\".ldflags = [\"-w\"]\n",
        "[[program]]\nbuild = \"cmake\"\nlibs = \"m\"\nsysroot = \"roots/{{platform.arch}}\"\n",
        "[[program]]\nbuild_std = \"nightly\"\nsysroot = { debian = \"bookworm\", packages = \"libssl-dev\" }\n",
        "[[toolchain]]\nname = \"mine\"\n",
        "[registry.\"docker.io\"]\nmirrors = \"mirror.lan:5000/hub\"\nca = [\"a.pem\"]\n[registry.localhost]\ninsecure = false\n",
        "[[image]]\nname = \"a\"\nprograms = \"x\"\nbases.\"linux/386\" = \"static\"\n[[image.file]]\nsource = \"a\"\ndestination = \"/a\"\n",
    ] {
        config::load(text, Path::new("anyarch.toml")).unwrap_or_else(|error| panic!("{text}: {error}"));
        checker.check(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    for text in [
        "platfroms = \"all\"\n",
        "platforms = \"linux/\"\n",
        "jobs = 0\n",
        "push = \"true\"\n",
        "entrypoint = \"/app --serve\"\n",
        "ports = [70000]\n",
        "stop_signal = \"TERM\"\n",
        "env = [\"A\"]\n",
        "[labels]\na.b = 1\n",
        "[bases]\n\"linux/\" = \"a\"\n",
        "[program]\nname = \"x\"\n",
        "[[program]]\nlanguage = \"rsut\"\n",
        "[[program]]\nlibc = \"glibc\"\n",
        "[[program]]\nbuild = \"scons\"\n",
        "[[program]]\nbuild_std = \"stable\"\n",
        "[[program]]\nsysroot = { debian = \"bookworm\" }\n",
        "[[program]]\nplatform.\"linux/386\".name = \"x\"\n",
        "[[image]]\nbase = \"static\"\n",
        "[[image]]\nname = \"a/b\"\n",
        "[[image]]\nname = \"a\"\njobs = 2\n",
        "[registry.docker.io]\nmirrors = []\n",
        "[registry.\"docker.io\"]\nmirrors = [true]\n",
        "[registry.\"docker.io\"]\nplain-http = true\n",
        "[[file]]\nsource = \"a\"\n",
        "[[file]]\nsource = \"a\"\ndestination = \"/a\"\nmode = \"rwx\"\n",
        "[[file]]\nsource = \"a\"\ndestination = \"/a\"\nowner = \"root\"\n",
    ] {
        assert!(config::load(text, Path::new("anyarch.toml")).is_err(), "the reader takes {text}");
        assert!(checker.check(text).is_err(), "the schema takes {text}");
    }
}
