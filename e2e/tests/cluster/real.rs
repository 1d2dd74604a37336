//! A real API server with its etcd, on loopback ports, for one test.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use objects::api::{Access, Api, Call};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    pub(crate) api: Api,
    /// In the order in which they are ended.
    programs: Vec<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

impl Cluster {
    /// Starts both programs and waits for the API server.
    pub(crate) async fn start(assets: &Path, folder: &Path) -> Result<Cluster> {
        let [client, peer, secure] = [free_port()?, free_port()?, free_port()?];
        let key = rcgen::KeyPair::generate()?;
        let file = |name: &str| folder.join(name).display().to_string();
        fs::write(file("sa.key"), key.serialize_pem())?;
        fs::write(file("sa.pub"), key.public_key_pem())?;
        fs::write(file("tokens.csv"), "admin,admin,admin,system:masters\n")?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let etcd = start(
            assets,
            folder,
            "etcd",
            &[
                ("data-dir", file("etcd")),
                ("listen-client-urls", url(client)),
                ("advertise-client-urls", url(client)),
                ("listen-peer-urls", url(peer)),
                ("unsafe-no-fsync", "true".to_owned()),
            ],
        )?;
        let config = folder.join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
             clusters: [{{name: it, cluster: {{insecure-skip-tls-verify: true, server: \"https://127.0.0.1:{secure}\"}}}}]\n\
             users: [{{name: it, user: {{token: admin}}}}]\n\
             contexts: [{{name: it, context: {{cluster: it, user: it}}}}]\n"
        );
        fs::write(&config, text)?;
        let api = Api::open(&Access::Kubeconfig(config)).await?;
        let mut cluster = Cluster {
            api,
            programs: vec![etcd],
        };
        let server = start(
            assets,
            folder,
            "kube-apiserver",
            &[
                ("etcd-servers", url(client)),
                ("bind-address", "127.0.0.1".to_owned()),
                ("secure-port", secure.to_string()),
                ("cert-dir", file("certificates")),
                (
                    "service-account-issuer",
                    "https://kubernetes.default.svc".to_owned(),
                ),
                ("service-account-key-file", file("sa.pub")),
                ("service-account-signing-key-file", file("sa.key")),
                ("service-cluster-ip-range", "10.0.0.0/24".to_owned()),
                ("authorization-mode", "RBAC".to_owned()),
                ("token-auth-file", file("tokens.csv")),
                ("disable-admission-plugins", "ServiceAccount".to_owned()),
            ],
        )?;
        cluster.programs.insert(0, server);
        cluster.wait(folder).await?;
        Ok(cluster)
    }

    async fn wait(&mut self, folder: &Path) -> Result<()> {
        let begun = Instant::now();
        while let Err(refusal) = self.api.call(Call::get("/api/v1/namespaces/default")).await {
            for program in &mut self.programs {
                if let Some(status) = program.try_wait()? {
                    bail!("a program has ended, {status}: {}", last_words(folder));
                }
            }
            if begun.elapsed() > PATIENCE {
                bail!(
                    "the API server does not answer ({refusal}): {}",
                    last_words(folder)
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

fn start(assets: &Path, folder: &Path, name: &str, flags: &[(&str, String)]) -> Result<Child> {
    let program = assets.join(name);
    let log = fs::File::create(folder.join(format!("{name}.log")))?;
    Command::new(&program)
        .args(
            flags
                .iter()
                .map(|(flag, value)| format!("--{flag}={value}")),
        )
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("KUBEBUILDER_ASSETS: cannot start {}", program.display()))
}

/// The ends of both logs.
fn last_words(folder: &Path) -> String {
    let end = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    };
    format!(
        "etcd:\n{}\nkube-apiserver:\n{}",
        end("etcd.log"),
        end("kube-apiserver.log")
    )
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
