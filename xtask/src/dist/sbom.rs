//! The list of everything in a program, for those who look after machines: CycloneDX 1.5 as JSON.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::packages::LinkedPackage;

/// The list for the package `root` among `packages`.
///
/// # Errors
/// When `root` is not among them.
pub fn cyclonedx(packages: &[LinkedPackage], root: &str) -> Result<String> {
    let program = packages.iter().find(|package| package.name == root);
    let program = program.with_context(|| format!("{root} is not among its own packages"))?;
    let others: Vec<Value> = packages
        .iter()
        .filter(|package| package.name != root)
        .map(|package| component(package, "library"))
        .collect();
    let dependencies: Vec<Value> = packages
        .iter()
        .map(|package| {
            let uses: Vec<String> =
                package.uses.iter().map(|(name, version)| reference(name, version)).collect();
            json!({"ref": reference(&package.name, &package.version), "dependsOn": uses})
        })
        .collect();
    let list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(program, "application")},
        "components": others,
        "dependencies": dependencies,
    });
    Ok(format!("{list:#}\n"))
}

/// A package's address, by which databases of weaknesses know it.
fn reference(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

fn component(package: &LinkedPackage, kind: &str) -> Value {
    let address = reference(&package.name, &package.version);
    let mut value = json!({
        "type": kind,
        "bom-ref": address,
        "name": package.name,
        "version": package.version,
        "purl": address,
    });
    if let Some(license) = &package.license {
        value["licenses"] = json!([{"expression": license}]);
    }
    if let Some(checksum) = &package.checksum {
        value["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(repository) = &package.repository {
        value["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::packages::{linked, tests::*};
    use super::*;

    #[test]
    fn every_package_is_listed_with_what_it_uses() {
        let list = cyclonedx(&linked(METADATA, TREE, LOCK, "dinoscope").unwrap(), "dinoscope").unwrap();
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!((&list["bomFormat"], &list["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
        assert_eq!(list["metadata"]["component"]["purl"], "pkg:cargo/dinoscope@0.1.0");
        assert_eq!(list["components"].as_array().unwrap().len(), 1);
        assert_eq!(list["components"][0]["hashes"][0]["content"], "abc");
        assert_eq!(list["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(list["dependencies"][0]["dependsOn"], json!(["pkg:cargo/lib@2.0.0"]));
    }
}
