"""A script: original files, downloaded and checked by TensorFlow Datasets.

``python -P tfds.py BUILDER URL FOLDER FILE...`` is run by ``pljax.data.download`` in a process of its own,
because TFDS may wait for ever, in threads, and only a process can be ended from outside. It is run by its
path, so that neither pljax nor JAX is imported there; ``-P``, because the modules beside it are not to be
taken for those of the standard library that have their names.
"""

import os
import sys

import tensorflow_datasets as tfds
from tensorflow_datasets.image_classification import mnist


def main(arguments: list[str]) -> str | None:
    """Download each ``URL + FILE`` as ``FOLDER/FILE``, checked against what TFDS records for ``BUILDER``.

    Returns:
      one line that says why that failed, for ``sys.exit``; ``None`` if it did not.
    """
    builder, url, folder, *files = arguments
    tfds.disable_progress_bar()
    records = {info.filename: info for info in getattr(mnist, builder).url_infos.values()}
    # The manager, unlike `download_and_prepare`, works without TensorFlow.
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
