"""Make the project's own virtual environment and fill it from requirements.txt.

    python3 tools/setup_env.py [FOLDER [REQUIREMENTS ...]]

Does nothing when the folder already holds what the files ask for.  Understood by old
Pythons too, so that their users read one clear line and not a syntax error.
"""
from __future__ import print_function

import os
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def stop(line):
    sys.stdout.flush()
    sys.stderr.write(line + "\n")
    sys.exit(1)


def say(line):
    print(line)
    sys.stdout.flush()


def check_python():
    version = "%d.%d" % sys.version_info[:2]
    if sys.version_info[:2] < OLDEST:
        stop("Python 3.11 or newer is needed, and this is Python %s: name a newer one that you have, for example  "
             "make PYTHON=python3.12 book" % version)
    if sys.version_info[:2] > NEWEST:
        say("Note: tested with Python 3.11 to 3.13; this is Python %s. Trying all the same." % version)
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop("Python's venv module is missing: on Debian or Ubuntu run  sudo apt install python%s-venv" % version)


def fingerprint(files):
    import hashlib
    parts = [sys.version]
    for name in files + ["pyproject.toml"]:
        with open(os.path.join(ROOT, name)) as f:
            parts.append(f.read())
    return hashlib.sha256("\n".join(parts).encode("utf-8")).hexdigest()


def works(python):
    """Does the environment's Python start, and is it the same version as this one?"""
    code = "import sys, pip; sys.exit(sys.version_info[:2] != (%d, %d))" % sys.version_info[:2]
    try:
        return subprocess.call([python, "-c", code], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


NO_NETWORK = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ReadTimeoutError", "ProxyError",
              "Failed to establish", "Temporary failure in name resolution", "Network is unreachable")


def install(python, files):
    say("Installing the pinned packages of %s (a minute or two, once) ..." % " and ".join(files))
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-q", "--retries", "2"]
    for name in files:
        command += ["-r", name]
    pip = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           universal_newlines=True)
    output = pip.communicate()[0]
    if pip.returncode == 0:
        return
    if any(sign in output for sign in NO_NETWORK):
        stop("No network: pip could not reach the package index. Connect and run the same command again.")
    stop(output + "\npip could not install the requirements; its own words stand above.")


def main():
    check_python()
    folder = sys.argv[1] if len(sys.argv) > 1 else ".venv"
    files = sys.argv[2:] or ["requirements.txt"]
    stamp = os.path.join(folder, ".ready-" + "-".join(os.path.basename(f) for f in files))
    python = os.path.join(folder, "Scripts" if os.name == "nt" else "bin", "python")
    wanted = fingerprint(files)
    if os.path.exists(stamp) and works(python):
        with open(stamp) as f:
            if f.read() == wanted:
                return
    if not works(python):
        if os.path.isdir(folder) and os.listdir(folder) and not os.path.exists(os.path.join(folder, "pyvenv.cfg")):
            stop("%s exists and is not a virtual environment: choose another folder with  make VENV=folder" % folder)
        say("Making the virtual environment %s with Python %d.%d ..." % ((folder,) + sys.version_info[:2]))
        if subprocess.call([sys.executable, "-m", "venv", "--clear", folder]):
            stop("The virtual environment could not be made; Python's own words stand above.")
    install(python, files)
    with open(stamp, "w") as f:
        f.write(wanted)


if __name__ == "__main__":
    main()
