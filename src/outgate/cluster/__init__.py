"""The doors in: from files, folders and standard input to a `Snapshot`.

    loaded = load(["manifests/", "-"])
    loaded.snapshot      what could be used
    loaded.errors        what could not, each with file, line and path

Text becomes documents here, with the place of every value; what the documents mean is said in `outgate.model`.
"""

from outgate.cluster.files import Loaded, load

__all__ = ["Loaded", "load"]
