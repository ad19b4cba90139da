"""What imageio's PyAV plugin makes of files: `python read_with_imageio.py DIRECTORY OUT.npz`.

It wrote `colors_pyav16.npz` (imageio 2.38.1, PyAV 16.1.0) and `colors_pyav17.npz` (PyAV 17.0.1). Run it in an
environment with imageio and the PyAV to look at. `python -m fixtures.colors DIRECTORY` writes the files.
"""

import sys
from pathlib import Path

import av
import imageio
import imageio.v3
import numpy as np

colors = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        colors[path.stem] = imageio.v3.imread(path, plugin="pyav", index=0)[8::16, 8::16]  # the centers of the blocks
    except OSError as error:
        print(f"{path.stem}: {error}")
print(f"imageio {imageio.__version__}, PyAV {av.__version__}: {len(colors)} files")
np.savez_compressed(sys.argv[2], names=np.array(list(colors)), colors=np.stack(list(colors.values())))
