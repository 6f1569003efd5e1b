"""The doors in: from files, folders, standard input and a live cluster to a `Snapshot`.

    loaded = load(["manifests/", "-"])
    loaded.snapshot      what could be used
    loaded.errors        what could not, each with file, line and path

Text becomes documents here, with the place of every value; what the documents mean is said in `outgate.model`. What
no file holds comes as a `Source`: `Text` under a name, or the `Objects` that a server listed.
"""

from outgate.cluster.files import Loaded, is_manifest, load
from outgate.cluster.sources import Objects, Source, Text

__all__ = ["Loaded", "Objects", "Source", "Text", "is_manifest", "load"]
