"""A script that downloads original files with TensorFlow Datasets (TFDS), which checks them.

``pljax.data.download`` runs ``python -P tfds.py BUILDER URL FOLDER FILE...`` in a process of its own: TFDS can wait
for ever in its threads, and only a process can be ended from outside. It runs the script by its path, so that neither
pljax nor JAX is imported, and with ``-P``, so that the modules in this folder do not hide others of the same name.
"""

import os
import sys

import tensorflow_datasets as tfds
from tensorflow_datasets.image_classification import mnist


def main(arguments: list[str]) -> str | None:
    """Download each ``URL + FILE`` to ``FOLDER/FILE`` and check it against the checksums of ``BUILDER`` in TFDS.

    Args:
      arguments: ``[BUILDER, URL, FOLDER, FILE, ...]``.

    Returns:
      one line with the reason of a failure, for ``sys.exit``; ``None`` on success.
    """
    builder, url, folder, *files = arguments
    tfds.disable_progress_bar()
    records = {info.filename: info for info in getattr(mnist, builder).url_infos.values()}
    # `download_and_prepare` needs TensorFlow; the manager does not.
    manager = tfds.download.DownloadManager(
        download_dir=os.path.join(folder, "tfds"),
        url_infos={url + file: records[file] for file in files},
        force_checksums_validation=True,
    )
    try:
        paths = manager.download({file: url + file for file in files})
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    for file, path in paths.items():
        os.replace(path, os.path.join(folder, file))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
