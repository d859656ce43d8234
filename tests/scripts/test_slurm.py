"""Jobs of a real Slurm: two nodes of a controller of its own, both on this machine."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import unittest

from small_run import CONFIG, PROGRAM, WITHOUT_LAUNCHER, SmallRun, wait_until

TOOLS = ("srun", "sbatch", "slurmctld", "slurmd", "munged")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "distributed.md"
NODES = ("node1", "node2")
SLURM = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(num):
    sockets = [socket.socket() for _ in range(num)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Slurm(SmallRun):
    @classmethod
    def setUpClass(cls):
        if any(shutil.which(tool) is None for tool in TOOLS):
            raise unittest.SkipTest("no Slurm (slurm-wlm and munge in Debian)")
        if os.geteuid() != 0:
            raise unittest.SkipTest("Slurm's daemons need root")

    def setUp(self):
        super().setUp()
        slurm = self.root / "slurm"
        (slurm / "state").mkdir(parents=True)
        (slurm / "spool").mkdir()
        (slurm / "munge.key").write_bytes(os.urandom(1024))
        (slurm / "munge.key").chmod(0o400)
        self.root.chmod(0o755)
        text = SLURM.format(root=slurm, host=socket.gethostname(), nodes=NODES, ports=free_ports(3))
        (slurm / "slurm.conf").write_text(text)
        self.environment = {**WITHOUT_LAUNCHER, "SLURM_CONF": str(slurm / "slurm.conf")}
        self.environment["PATH"] = f"{pathlib.Path(PROGRAM).parent}:{os.environ['PATH']}"
        files = {"key-file": "munge.key", "socket": "munge.socket", "log-file": "munge.log"}
        files.update({"pid-file": "munge.pid", "seed-file": "munge.seed"})
        options = [f"--{name}={slurm / file}" for name, file in files.items()]
        self.start("munged", "--foreground", "--force", *options)
        wait_until((slurm / "munge.socket").exists, "munged")
        self.start("slurmctld", "-D")
        # The processes look for the first node by its name.
        hosts = slurm / "hosts"
        names = " ".join(NODES)
        hosts.write_text(pathlib.Path("/etc/hosts").read_text() + f"127.0.0.1 {names}\n")
        named = f'mount --bind {hosts} /etc/hosts && exec "$@"'
        for node in NODES:
            self.start("unshare", "--mount", "sh", "-c", named, "sh", "slurmd", "-D", "-N", node)
        wait_until(lambda: self.output_of("sinfo", "-h", "-o", "%D %t") == "2 idle", "two nodes")

    def start(self, *command):
        self.processes.append(
            subprocess.Popen(
                command,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def output_of(self, *command):
        result = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True
        )
        return result.stdout.strip()

    def state_of(self, job):
        return self.output_of("squeue", "-h", "-j", job, "-t", "all", "-o", "%T")

    def job_of_the_page(self):
        """The script of docs/distributed.md, which users copy, for nodes of one processor."""
        script = re.search(r"```\n(#!/bin/bash\n.*?)```", PAGE.read_text(), re.DOTALL)[1]
        self.assertEqual(len(script.splitlines()), 6)
        return script.replace("=16 ", "=1 ").replace("my.yaml", "config.yaml")

    def test_the_script_of_the_page(self):
        script = self.job_of_the_page()
        steps = 1000
        (self.root / "config.yaml").write_text(
            CONFIG.replace("steps: 8", f"steps: {steps}")
            .replace("every_steps: 4, max", "every_steps: never, max")
            .replace("every_steps: 4, keep", f"every_steps: {steps}, keep")
        )
        (self.root / "job.sh").write_text(script)
        job = self.output_of("sbatch", "--parsable", "job.sh")
        self.wait_for_steps(10)
        # What Slurm does two minutes before the end of the time (--signal).
        self.output_of("scancel", "--signal=TERM", job)
        wait_until(lambda: self.state_of(job) == "PENDING", "the job enters the queue again")
        stopped = self.newest_step()
        self.assertTrue(0 < stopped < steps, stopped)
        output = self.root / f"slurm-{job}.out"
        self.assertIn(f"after step {stopped}, checkpoint saved", output.read_text())
        self.assertIn("Exited with exit code 75", output.read_text())
        # Slurm would wait two minutes.
        self.output_of("scontrol", "update", f"JobId={job}", "StartTime=now")
        wait_until(lambda: self.state_of(job) == "COMPLETED", "the job ends")
        self.assertIn(f"continuing from step {stopped}", output.read_text())
        self.assertIn("2 processes share each step", output.read_text())
        self.expect_bits_of_one_process("run", steps)

    def test_a_comparison_as_an_array_job(self):
        compare = "compare: {vary: {model.ffn: [relu, swiglu]}, seeds: [1, 2], slurm: {tasks: 2}}\n"
        (self.root / "compare.yaml").write_text(CONFIG + compare)
        seals = []
        for part in ("plain", "array"):
            submit = ("--submit", "slurm") if part == "array" else ()
            text = self.output_of("sluice", "compare", "compare.yaml", *submit)
            if submit:
                job = re.search(r"job +(\d+) \(2 tasks\)", text)[1]
                wait_until(lambda job=job: self.output_of("squeue", "-h", "-j", job) == "", "tasks")
            seals.append((self.root / "run" / "seal.txt").read_text())
            (self.root / "run").rename(self.root / part)
        self.assertEqual(*seals)


if __name__ == "__main__":
    unittest.main()
