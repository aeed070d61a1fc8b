"""Arrays: the types of numpy's that stand in signatures."""

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]
