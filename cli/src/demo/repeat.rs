//! A client in a pod that asks again and again over one connection, while something else happens.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read};

use anyhow::{Context, Result, bail};
use sandbox::app::echo::{ANSWERED, Repeated};
use sandbox::sandbox::Running;
use sandbox::{PodName, Target};

use super::cluster::Cluster;

/// The running client.
pub(super) struct Repeat {
    running: Running,
    hush: PipeWriter,
    output: BufReader<PipeReader>,
}

impl Repeat {
    /// Starts it; it has been answered once when this returns.
    pub(super) fn start(cluster: &Cluster, from: &str, url: &str) -> Result<Self> {
        let (input, hush) = std::io::pipe()?;
        let (output, writer) = std::io::pipe()?;
        let nowhere = File::options().write(true).open("/dev/null")?;
        let target = Target::Pod(PodName::parse(from));
        let weft = cluster.weft();
        let command = [weft.as_str(), "run", "echo", "--repeat", url];
        let streams = [input.into(), writer.into(), nowhere.into()];
        let running = cluster.sandbox().spawn(&target, &command, streams)?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        if line.trim() != ANSWERED {
            bail!("{from} was not answered by {url}");
        }
        Ok(Self {
            running,
            hush,
            output,
        })
    }

    /// Tells it to stop, and says what it saw.
    pub(super) fn stop(self) -> Result<Repeated> {
        drop(self.hush);
        report(self.output, self.running)
    }

    /// Waits until its connection ends, and says what it saw.
    pub(super) fn ended(self) -> Result<Repeated> {
        report(self.output, self.running)
    }
}

fn report(mut output: BufReader<PipeReader>, running: Running) -> Result<Repeated> {
    let mut text = String::new();
    output.read_to_string(&mut text)?;
    let exit = running.wait()?;
    serde_json::from_str(&text).with_context(|| format!("the client ended with {exit:?}: {text}"))
}
