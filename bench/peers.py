"""peers.py: an interpreter with the programs that pare is compared with."""
import os
import subprocess
import sys


def find_python(modules, packages, venv, pip_args=()):
    """One that imports `modules` ("torch, transformers"): this one, or venv's, which is made with
    pip and `packages` where there is none."""
    python = os.path.join(venv, "bin", "python")
    for there in (sys.executable, python):
        if os.path.exists(there) and subprocess.run(
                [there, "-c", "import " + modules], stderr=subprocess.DEVNULL,
                check=False).returncode == 0:
            return there
    print(f"installing {' '.join(packages)} into {venv}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *pip_args, *packages], check=True,
                   stdout=sys.stderr)
    return python
