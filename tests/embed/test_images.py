"""Images from folders, lists, arrays and data sets; what cannot be read is named, skipped and counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.embed import UnreadableImageError, check_images, open_images

RNG = np.random.default_rng(0)
RED = (200, 10, 30)


def save(path: str, image: Image.Image | None = None, **options: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    (image or Image.new("RGB", (6, 4), RED)).save(path, **options)


def pixels(source: Any, item: int = 0) -> Any:
    image = open_images(source).read(item)
    assert image.mode == "RGB"
    return np.asarray(image)


def test_a_folder_in_imagenet_layout_has_classes_labels_and_relative_ids() -> None:
    for path in ("b/10.png", "b/9.JPEG", "a/deep/x.png", "a/.hidden.png", "a/notes.txt", ".cache/y.png"):
        save(f"root/{path}") if not path.endswith("txt") else Path(f"root/{path}").write_text("no image")
    Path("root/empty").mkdir()
    images = open_images("root")
    assert images.ids.tolist() == ["a/deep/x.png", "b/9.JPEG", "b/10.png"]
    assert images.classes == ("a", "b", "empty")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 1]
    assert images.read(0).size == (6, 4)
    assert repr(images) == "ImageSet(3 images, 3 classes)"


def test_classes_are_numbered_as_torchvision_numbers_them() -> None:
    from torchvision.datasets import ImageFolder

    for name in ("2", "10", "B", "a", "ä"):
        save(f"root/{name}/x.png")
    theirs = ImageFolder("root")
    images = open_images("root")
    assert images.classes == tuple(theirs.classes)
    assert [
        (str(Path("root", i)), c) for i, c in zip(images.ids, images.labels, strict=True)
    ] == theirs.samples


def test_a_flat_folder_and_a_list_of_paths() -> None:
    for name in ("10.png", "9.png", "1.png"):
        save(f"flat/{name}")
    Path("flat/nothing").mkdir()
    images = open_images("flat")
    assert images.ids.tolist() == ["1.png", "9.png", "10.png"]
    assert images.labels is None
    assert images.classes is None
    listed = open_images(["flat/10.png", Path("flat/1.png")], labels=[3, 0])
    assert listed.ids.tolist() == ["flat/10.png", "flat/1.png"]
    assert listed.labels is not None
    assert listed.labels.tolist() == [3, 0]
    assert listed.read(1).getpixel((0, 0)) == RED


@pytest.mark.parametrize("shape", [(5, 7, 6), (5, 7, 6, 1), (5, 7, 6, 3)])
@pytest.mark.parametrize("kind", ["numpy", "torch", "mapped"])
def test_arrays(shape: tuple[int, ...], kind: str) -> None:
    array: Any = RNG.integers(0, 256, shape, dtype=np.uint8)
    expected = np.broadcast_to(array.reshape(*shape[:3], -1), (*shape[:3], 3))[3]
    if kind == "mapped":
        np.save("x.npy", array)
        array = np.load("x.npy", mmap_mode="r")
    images = open_images(torch.tensor(array) if kind == "torch" else array)
    assert len(images) == 5
    assert images.ids.tolist() == ["0", "1", "2", "3", "4"]
    np.testing.assert_array_equal(np.asarray(images.read(3)), expected)


class Dataset(torch.utils.data.Dataset):
    def __init__(self, pictures: list[Any]) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, item: int) -> Any:
        return self.pictures[item], item


def test_a_torch_data_set_of_pillow_images_arrays_and_tensors() -> None:
    array = RNG.integers(0, 256, (7, 6, 3), dtype=np.uint8)
    pictures = [Image.fromarray(array), array, torch.tensor(array), torch.tensor(array).permute(2, 0, 1)]
    images = open_images(Dataset(pictures))
    for item in range(4):
        np.testing.assert_array_equal(np.asarray(images.read(item)), array)
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 2, 3]
    dataset: Any = Dataset(pictures)
    dataset.targets, dataset.classes = [1, 0, 1, 1], ["cat", "dog"]
    images = open_images(dataset)
    assert images.labels is not None
    assert images.labels.tolist() == [1, 0, 1, 1]
    assert images.classes == ("cat", "dog")
    dataset.targets = [{"boxes": 3}] * 4
    labels = open_images(dataset).labels
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 3]


def test_labels_of_pairs_are_noted_while_images_are_read() -> None:
    reads = []

    class Pairs(Dataset):
        def __getitem__(self, item: int) -> Any:
            reads.append(item)
            if item == 1:
                raise ValueError("damaged")
            return self.pictures[item], torch.tensor(item + 5)

    images = open_images(Pairs([RNG.integers(0, 256, (7, 6), dtype=np.uint8)] * 4))
    images.fingerprint()
    assert sorted(reads) == [0, 1, 2, 3]
    labels = images.labels
    assert labels is not None
    assert labels.tolist() == [5, -1, 7, 8]
    assert sorted(reads) == [0, 1, 1, 2, 3]
    part = images.take([3, 0]).labels
    assert part is not None
    assert part.tolist() == [8, 5]


@pytest.mark.parametrize("label", [None, 0.5, "cat", {"boxes": 3}, [[1], [2, 3]], True, np.ones(2, int)])
def test_labels_that_are_no_class_indices_are_none(label: Any) -> None:
    class Pairs(Dataset):
        def __getitem__(self, item: int) -> Any:
            return self.pictures[item], label

    assert open_images(Pairs([np.zeros((3, 3), np.uint8)])).labels is None


def test_a_data_set_of_images_alone_has_no_labels() -> None:
    class Alone(Dataset):
        def __getitem__(self, item: int) -> Any:
            return self.pictures[item]

    images = open_images(Alone([np.zeros((3, 3), np.uint8)]))
    assert images.labels is None
    assert images.read(0).size == (3, 3)


def test_grayscale_palette_and_deep_images_become_rgb() -> None:
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    save("grey.png", Image.fromarray(grey))
    save("one.png", Image.fromarray(grey > 100))
    save("palette.png", Image.new("RGB", (6, 4), RED).quantize())
    save("deep.png", Image.fromarray(grey.astype(np.uint16) * 257))
    save("cmyk.jpg", Image.new("CMYK", (6, 4), (0, 0, 0, 0)))
    np.testing.assert_array_equal(pixels(["grey.png"]), np.stack([grey] * 3, 2))
    np.testing.assert_array_equal(pixels(["deep.png"]), np.stack([grey] * 3, 2))
    np.testing.assert_array_equal(pixels(["one.png"])[:, :, 0], np.where(grey > 100, 255, 0))
    assert (pixels(["palette.png"]) == RED).all()
    assert (pixels(["cmyk.jpg"]) == 255).all()


def test_alpha_is_laid_over_white() -> None:
    save("clear.png", Image.new("RGBA", (2, 2), (10, 20, 30, 0)))
    save("half.png", Image.new("RGBA", (2, 2), (0, 0, 0, 128)))
    save("grey.png", Image.new("LA", (2, 2), (0, 0)))
    save("palette.png", Image.new("P", (2, 2), 0), transparency=0)
    assert (pixels(["clear.png"]) == 255).all()
    assert (pixels(["half.png"]) == 127).all()
    assert (pixels(["grey.png"]) == 255).all()
    assert (pixels(["palette.png"]) == 255).all()
    assert (pixels(np.zeros((1, 2, 2, 4), np.uint8)) == 255).all()


def test_the_orientation_tag_is_obeyed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    save("turned.jpg", exif=exif)
    assert pixels(["turned.jpg"]).shape == (6, 4, 3)


def damaged_folder() -> None:
    save("some/1.png")
    Path("some/2.png").write_bytes(b"no image")
    save("some/3.png", Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    Path("some/4.png").write_bytes(Path("some/3.png").read_bytes()[:5000])
    Path("some/5.png").touch()


def test_corrupt_files_are_named_skipped_and_counted() -> None:
    damaged_folder()
    images, report = check_images(open_images("some"))
    assert images.ids.tolist() == ["1.png", "3.png"]
    assert list(report.reasons) == ["2.png", "4.png", "5.png"]
    assert len(report) == 3
    assert "3 of 5 images could not be read and were skipped: 2.png (cannot identify" in str(report)
    assert str(check_images(images)[1]) == "all 2 images were read"
    with pytest.raises(UnreadableImageError, match=r"^4\.png: .*truncated"):
        open_images("some").read(3)
    with pytest.raises(UnreadableImageError, match=r"^absent\.png: .*No such file"):
        open_images(["absent.png"]).read(0)


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError(), ImportError("avif")])
def test_a_machine_that_fails_is_no_damaged_image(error: Exception) -> None:
    class Failing:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, item: int) -> Any:
            raise error

    images = open_images(Failing())  # type: ignore[arg-type]
    for work in (lambda: images.read(0), images.fingerprint, lambda: check_images(images)):
        with pytest.raises(type(error)):
            work()


def test_long_looks_at_images_show_a_bar(
    impatient: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    images = open_images(RNG.integers(0, 256, (2000, 3, 3), dtype=np.uint8))
    images.fingerprint(progress=True)
    assert "hashing the images" in capsys.readouterr().err
    kept, report = check_images(images, progress=True)
    assert len(kept) == report.n == 2000
    assert "reading the images" in capsys.readouterr().err
    open_images(RNG.integers(0, 256, (9, 3, 3), dtype=np.uint8)).fingerprint()
    assert capsys.readouterr().err == ""


def test_a_folder_of_corrupt_files_alone_is_refused() -> None:
    for item in range(7):
        save(f"x/{item}.png")
        Path(f"x/{item}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"images: none could be read: 7 of 7 .*0\.png.* and 2 more$"):
        check_images(open_images("x"))


def test_floating_point_pictures_have_no_agreed_white() -> None:
    Image.fromarray(np.ones((3, 3), np.float32)).save("x.tiff")
    with pytest.raises(UnreadableImageError, match="expected whole numbers as pixels, found floating point"):
        open_images(["x.tiff"]).read(0)
    with pytest.raises(UnreadableImageError, match="expected uint8 pixels, found float32"):
        open_images(Dataset([torch.ones(3, 8, 8)])).read(0)
    with pytest.raises(UnreadableImageError, match=r"expected a picture .* found shape \(8,\)"):
        open_images(Dataset([np.ones(8, np.uint8)])).read(0)
    with pytest.raises(UnreadableImageError, match=r"at least one pixel, found shape \(0, 8\)"):
        open_images(Dataset([np.ones((0, 8), np.uint8)])).read(0)


def test_the_fingerprint_is_of_content_and_order_and_not_of_names(one_thread: None) -> None:
    for name in "abc":
        save(f"x/{name}.png", Image.new("RGB", (6, 4), (ord(name), 0, 0)))
    expected = open_images("x").fingerprint()
    assert len(expected) == 32
    Path("x").rename("y")
    Path("y/c.png").rename("y/d.png")
    assert open_images("y").fingerprint() == expected
    torch.set_num_threads(3)
    assert open_images("y").fingerprint() == expected
    images = open_images("y")
    seen = {expected, images.take([0, 2, 1]).fingerprint(), images.take([0, 1]).fingerprint()}
    content = Path("y/d.png").read_bytes()
    Path("y/d.png").write_bytes(content[:-20])
    seen.add(open_images("y").fingerprint())
    Path("y/d.png").unlink()
    seen.add(images.take([0, 1, 2]).fingerprint())
    assert len(seen) == 5
    array = RNG.integers(0, 256, (5, 7, 6), dtype=np.uint8)
    of_arrays = {
        open_images(each).fingerprint() for each in (array, torch.tensor(array), Dataset(list(array)))
    }
    assert len(of_arrays) == 1
    assert open_images(array.reshape(5, 6, 7)).fingerprint() not in of_arrays


def test_take_keeps_labels_and_classes() -> None:
    for name in ("a/1", "a/2", "b/1"):
        save(f"root/{name}.png")
    part = open_images("root").take(np.array([True, False, True])).take([1])
    assert part.ids.tolist() == ["b/1.png"]
    assert part.labels is not None
    assert part.labels.tolist() == [1]
    assert part.classes == ("a", "b")


def test_what_is_no_source_of_images_is_refused() -> None:
    Path("empty/inside").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="empty: no image in this folder or in those inside it"):
        open_images("empty")
    with pytest.raises(FileNotFoundError, match="absent: no such folder of images"):
        open_images("absent")
    save("mixed/x.png")
    save("mixed/a/y.png")
    with pytest.raises(ValueError, match=r"found both: x\.png and a/y\.png"):
        open_images("mixed")
    with pytest.raises(ValueError, match="images: expected at least one, found none"):
        open_images([])
    with pytest.raises(TypeError, match="expected a list of paths, found other things"):
        open_images(["a.png", 3])
    with pytest.raises(TypeError, match=r"expected an array of uint8, 0 to 255, found float64"):
        open_images(np.ones((2, 3, 3)))
    with pytest.raises(ValueError, match=r"found \(2, 3, 8, 8\); channels go last"):
        open_images(torch.ones((2, 3, 8, 8), dtype=torch.uint8))
    not_images: Any = 3
    with pytest.raises(TypeError, match="a torch data set of known length, found int"):
        open_images(not_images)
    with pytest.raises(ValueError, match=r"labels: expected 2 whole numbers, .* found shape \(3,\)"):
        open_images(np.ones((2, 3, 3), np.uint8), labels=[1, 2, 3])
    with pytest.raises(ValueError, match=r"labels: .* of float64"):
        open_images(np.ones((2, 3, 3), np.uint8), labels=np.ones(2))
