"""Label maps without loss: bytes per map and milliseconds each way, beside peers.

CamVid at 90 x 120, fitted to its 367 training maps, with and without the photographs,
and at 360 x 480, fitted to every sixth of them; both on the 101 validation maps, with
void as a class. Bytes are those of the streams, checksum included. Times are process
time on one thread, of all maps in one call, and of maps one by one.

Peers, on the same maps in the same run: PNG and WebP of Pillow (8 bits a pixel, most
effort), JPEG XL of imagecodecs (effort 9), crackle, alone and with lzma; and the table
of the longest context that was seen (`ResidualModel`), which is what the lossless mode
of SparseSegmentationRDA stood on. A peer that is not installed is left out, by name.
"""

import io
import lzma
import time

import numpy as np
from _data import add_data_argument, camvid_images, camvid_maps, camvid_maps_in_full
from _report import print_header, print_machine, print_row
from PIL import Image
from threadpoolctl import threadpool_limits

from sklvm import LabelMapCodec
from sklvm.label_maps._range_coder import Encoder
from sklvm.segmentation._residual import ResidualModel

N_CLASSES = 12
N_ALONE = 10
EVERY = 6
AIMS = (
    "90 x 120: at most 205 bytes per map, at most 100 ms each way, a fit of at most "
    "two minutes; fewer bytes with photographs; 360 x 480: at most 1,130 bytes, 1.5 s"
)


def pillow(kind, **options):
    def size(labels):
        file = io.BytesIO()
        image = Image.fromarray(labels.astype(np.uint8))
        (image.convert("RGB") if kind == "WEBP" else image).save(file, kind, **options)
        return len(file.getvalue())

    return size


def jpeg_xl():
    import imagecodecs

    return lambda labels: len(
        imagecodecs.jpegxl_encode(labels.astype(np.uint8), lossless=True, effort=9)
    )


def crackle(packed):
    from crackle import compress

    def size(labels):
        data = compress(np.asfortranarray(labels.astype(np.uint8)[:, :, None]))
        return min(len(data), len(lzma.compress(data))) if packed else len(data)

    return size


PEERS = {
    "PNG": lambda: pillow("PNG", optimize=True),
    "WebP": lambda: pillow("WEBP", lossless=True, quality=100, method=6),
    "JPEG XL": jpeg_xl,
    "crackle": lambda: crackle(False),
    "crackle with lzma": lambda: crackle(True),
}


def print_peers(val):
    for name, make in PEERS.items():
        try:
            size = make()
        except ImportError as error:
            print_row(name, f"not installed: {error.name}", "", "", "")
            continue
        start = time.process_time()
        mean = np.mean([size(labels) for labels in val])
        milliseconds = 1e3 * (time.process_time() - start) / len(val)
        print_row(name, f"{mean:.1f}", "", f"{milliseconds:.1f}", "")


def print_table(train, val):
    """The context table alone, without decoded maps."""
    start = time.process_time()
    model = ResidualModel(N_CLASSES, train.shape[1:])
    model.fit(train, np.zeros_like(train))
    fit, start = time.process_time() - start, time.process_time()
    sizes = []
    for labels in val:
        coder = Encoder()
        model.walk(coder, np.zeros_like(labels), labels)
        sizes.append(len(coder.finish()))
    milliseconds = 1e3 * (time.process_time() - start) / len(val)
    cells = f"{np.mean(sizes):.1f}", f"{fit:.1f}", f"{milliseconds:.1f}", ""
    print_row("the context table alone", *cells)


def timed(function, *arguments):
    start = time.process_time()
    result = function(*arguments)
    return result, 1e3 * (time.process_time() - start)


def print_ours(name, train, val, images=(None, None)):
    codec = LabelMapCodec()
    _, fit = timed(codec.fit, train, None, images[0])
    streams, encoding = timed(codec.encode, val, images[1])
    decoded, decoding = timed(codec.decode, streams, images[1])
    if not (decoded == val).all():
        raise AssertionError("A map has not come back.")
    print_row(
        name,
        f"{np.mean([len(stream) for stream in streams]):.1f}",
        f"{fit / 1e3:.1f}",
        f"{encoding / len(val):.1f}",
        f"{decoding / len(val):.1f}",
    )
    alone = [
        [val[i : i + 1], None if images[1] is None else images[1][i : i + 1]]
        for i in range(min(N_ALONE, len(val)))
    ]
    encoding = [timed(codec.encode, *one)[1] for one in alone]
    decoding = [
        timed(codec.decode, [stream], one[1])[1]
        for stream, one in zip(streams, alone, strict=False)
    ]
    print_row(
        f"{name}, one by one",
        "",
        "",
        f"{np.mean(encoding):.1f}",
        f"{np.mean(decoding):.1f}",
    )


def add_arguments(parser):
    add_data_argument(parser)
    parser.add_argument("--maps", type=int, help="held out; default: all")
    parser.add_argument(
        "--sizes", nargs="+", choices=["90", "360"], default=["90", "360"]
    )


def run(arguments):
    with threadpool_limits(1):
        print_machine(1, ("pillow", "imagecodecs", "crackle-codec"))
        for size in arguments.sizes:
            maps = {"90": camvid_maps, "360": camvid_maps_in_full}[size]
            train, val = maps(arguments.data)
            train = train[::EVERY] if size == "360" else train
            val = val[: arguments.maps]
            height, width = val.shape[1:]
            print(f"\n{height} x {width}: fitted to {len(train)}, {len(val)} coded.\n")
            print_header("code", "bytes per map", "fit s", "encode ms", "decode ms")
            print_ours("LabelMapCodec", train, val)
            if size == "90":
                photographs = camvid_images(arguments.data)
                pair = photographs[0], photographs[1][: arguments.maps]
                print_ours("LabelMapCodec with photographs", train, val, pair)
            print_table(train, val)
            print_peers(val)
    print(f"\nAims: {AIMS}.")
