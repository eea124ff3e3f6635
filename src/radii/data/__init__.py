"""Data sets: published ones by name, and readers of the files that users bring."""

from radii.data.arrays import ArrayDataset as ArrayDataset
from radii.data.base import DATASETS as DATASETS
from radii.data.base import Dataset as Dataset
from radii.data.base import Reader as Reader
from radii.data.base import unit_interval as unit_interval
from radii.data.cifar import CIFAR10 as CIFAR10
from radii.data.cifar import CIFAR100 as CIFAR100
from radii.data.folder import Folder as Folder
from radii.data.folder import read_images as read_images
from radii.data.hugging_face import HuggingFace as HuggingFace
from radii.data.idx import MNIST as MNIST
from radii.data.idx import FashionMNIST as FashionMNIST
from radii.data.imagenet import ImageNet as ImageNet
from radii.data.imagenet import ImageNetDataset as ImageNetDataset
from radii.data.mnist5k import MNIST5k as MNIST5k
from radii.data.npz import Npz as Npz
from radii.data.pictures import PictureDataset as PictureDataset
from radii.data.pictures import PixelDataset as PixelDataset
from radii.data.reference import load as load
from radii.data.subset import Subset as Subset
from radii.data.svhn import SVHN as SVHN
