//! The YAML beside the crate is what the types say.

use std::path::Path;

use coffer_crds::definition;

/// `kubectl apply` keeps the whole object in an annotation of at most 256 KiB.
const LARGEST: usize = 192 * 1024;

#[test]
fn yaml_is_current() {
    for definition in definition::all().unwrap() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(definition.file);
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            there,
            definition.yaml().unwrap(),
            "`{}` is stale; run `cargo run -p coffer-operator -- crds --write crds`",
            path.display()
        );
    }
}

#[test]
fn kubectl_apply_can_hold_each_definition() {
    for definition in definition::all().unwrap() {
        let size = serde_json::to_string(&definition.json).unwrap().len();
        assert!(size < LARGEST, "{}: {size} bytes", definition.file);
    }
}

/// With a definition go all resources of its kind.
#[test]
fn no_tool_removes_a_definition_with_its_folder() {
    for definition in definition::all().unwrap() {
        for (annotation, value) in [
            ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
            ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
        ] {
            let annotations = &definition.json["metadata"]["annotations"];
            assert_eq!(annotations[annotation], value, "{}: {annotation}", definition.file);
        }
    }
}
