use super::*;

fn own(name: &str) -> OwnLayer {
    OwnLayer {
        descriptor: Descriptor::of(MEDIA_TYPE_LAYER_GZIP, name.as_bytes()),
        diff_id: Digest::of(b"tar"),
        created_by: format!("anyarch {name}"),
    }
}

fn base() -> BaseImage {
    let layer = Descriptor::of(MEDIA_TYPE_DOCKER_LAYER, b"base");
    BaseImage {
        platform: "linux/arm/v6".parse().unwrap(),
        manifest: Some(Digest::of(b"manifest")),
        config: json!({
            "architecture": "arm", "os": "linux", "variant": "v6", "created": "2020-01-01T00:00:00Z",
            "container": "abc", "docker_version": "20", "container_config": {"Cmd": ["x"]},
            "config": {"Hostname": "abc", "Image": "sha256:1", "Env": ["PATH=/bin", "A=1"], "Cmd": ["sh"], "Healthcheck": {"Test": ["NONE"]}, "Labels": {"l": "base"}},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"base tar")]},
            "history": [{"created_by": "base"}],
        }),
        layers: vec![layer],
    }
}

fn settings() -> ImageSettings {
    ImageSettings {
        entrypoint: Some(vec!["/usr/local/bin/app".into()]),
        env: [("A".to_owned(), "2".to_owned()), ("B".to_owned(), "3".to_owned())].into(),
        labels: [("k".to_owned(), "v".to_owned())].into(),
        ports: vec!["8080/tcp".into()],
        ..ImageSettings::default()
    }
}

fn parsed(image: &Image) -> (Value, Value) {
    (serde_json::from_slice(&image.config).unwrap(), serde_json::from_slice(&image.manifest).unwrap())
}

#[test]
fn the_base_is_carried_whole_and_ours_laid_over_it() {
    let image = assemble(
        &base(),
        "linux/arm/v7".parse().unwrap(),
        &settings(),
        &[own("app")],
        "1970-01-01T00:00:00Z",
        &BTreeMap::new(),
    )
    .unwrap();
    let (config, manifest) = parsed(&image);
    assert_eq!(config["variant"], "v7");
    assert_eq!(config["docker_version"], "20", "what we do not know is kept");
    assert_eq!(config.get("container"), None);
    assert_eq!(config.get("container_config"), None);
    assert_eq!(
        config["config"],
        json!({
            "Entrypoint": ["/usr/local/bin/app"], "Env": ["PATH=/bin", "A=2", "B=3"], "ExposedPorts": {"8080/tcp": {}},
            "Healthcheck": {"Test": ["NONE"]}, "Labels": {"l": "base", "k": "v"},
        }),
        "the base's Cmd goes with its entrypoint"
    );
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
    assert_eq!(config["history"][1]["created_by"], "anyarch app");
    assert_eq!(
        manifest["layers"][0]["mediaType"], MEDIA_TYPE_LAYER_GZIP,
        "Docker's name for the same bytes is rewritten"
    );
    assert_eq!(manifest["layers"][0]["digest"], json!(base().layers[0].digest));
    assert_eq!(image.descriptor().platform.unwrap().variant.as_deref(), Some("v7"));
}

#[test]
fn a_base_without_layers_may_leave_their_lists_out() {
    let platform = "linux/amd64".parse().unwrap();
    for config in [
        json!({}),
        json!({"rootfs": {"type": "layers"}, "history": null}),
        json!({"rootfs": {"type": "layers", "diff_ids": null}}),
        json!({"rootfs": null, "config": null}),
        json!({"rootfs": [], "history": {}}),
        json!([]),
    ] {
        let base = BaseImage { config, ..BaseImage::scratch(platform) };
        let image = assemble(&base, platform, &settings(), &[own("app")], "1970-01-01T00:00:00Z", &BTreeMap::new());
        let (config, _) = parsed(&image.unwrap());
        assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": [Digest::of(b"tar")]}), "{}", base.config);
        assert_eq!(config["history"][0]["created_by"], "anyarch app");
    }
}

#[test]
fn build_triggers_are_an_error_unless_ignored() {
    let mut base = base();
    base.config["config"]["OnBuild"] = json!(["RUN make"]);
    let error = base.check(false).unwrap_err();
    assert_eq!(error.to_string(), "it has build triggers (ONBUILD), which only a Dockerfile build runs: RUN make");
    let ignoring = ImageSettings { ignore_onbuild: true, ..settings() };
    let image = assemble(&base, base.platform, &ignoring, &[], "1970-01-01T00:00:00Z", &BTreeMap::new()).unwrap();
    assert_eq!(parsed(&image).0["config"].get("OnBuild"), None);
}

#[test]
fn a_config_that_does_not_fit_its_manifest_is_refused() {
    let mut base = base();
    base.layers.clear();
    assert_eq!(base.check(false).unwrap_err().to_string(), "its config lists 1 diff_ids, and its manifest 0 layers");
}

#[test]
fn an_index_keeps_the_order_that_was_asked_for() {
    let images = ["linux/arm64", "linux/amd64"].map(|platform| {
        assemble(
            &BaseImage::scratch(platform.parse().unwrap()),
            platform.parse().unwrap(),
            &settings(),
            &[],
            "1970-01-01T00:00:00Z",
            &BTreeMap::new(),
        )
        .unwrap()
        .descriptor()
    });
    let index: Value = serde_json::from_slice(&index(&images, &BTreeMap::new())).unwrap();
    assert_eq!(index["mediaType"], MEDIA_TYPE_INDEX);
    assert_eq!(index["manifests"][0]["platform"], json!({"architecture": "arm64", "os": "linux"}));
}
