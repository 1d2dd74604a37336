//! One story about source, sink, election and tokens that asks for nothing but the API itself, so that it runs on the API
//! server of the tests and, where `KUBEBUILDER_ASSETS` names a folder with `etcd` and `kube-apiserver`, on a real one.

#![expect(
    clippy::print_stdout,
    reason = "a test says what is not part of the run"
)]

mod real;
mod story;

use std::path::PathBuf;

use anyhow::Result;
use e2e::api_server::{ApiServer, Settings};
use libtest_mimic::{Arguments, Failed, Trial};
use objects::api::{Access, Api};

fn main() {
    let arguments = Arguments::from_args();
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    if assets.is_none() {
        println!("not part of this run: a real API server, because KUBEBUILDER_ASSETS is not set");
    }
    let is_there = assets.is_some();
    let trials = vec![
        trial("the_story_on_the_api_server_of_the_tests", on_ours),
        trial("the_story_on_a_real_api_server", move || {
            on_real(&assets.unwrap_or_default())
        })
        .with_ignored_flag(!is_there),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || {
        run().map_err(|error| Failed::from(format!("{error:#}")))
    })
}

fn on_ours() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config");
    tokio::runtime::Runtime::new()?.block_on(async {
        let server = ApiServer::start(Settings::default()).await?;
        server.kubeconfig(&config)?;
        let api = Api::open(&Access::Kubeconfig(config.clone())).await?;
        Box::pin(story::tell(api)).await
    })
}

fn on_real(assets: &std::path::Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let cluster = real::Cluster::start(assets, folder.path()).await?;
        Box::pin(story::tell(cluster.api.clone())).await
    })
}
