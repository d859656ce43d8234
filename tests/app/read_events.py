"""Reads the event files of runs with TensorBoard's own reader; prints a JSON list, one object each.

    read_events.py DIRECTORY...

Scalars as {tag: [[step, value], ...]}, the text and the hparams as TensorBoard parses them, and
histograms as {tag: {step: [num, min, max, sum, sum of the buckets]}}.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.util import tensor_util


def text_of(accumulator, tag):
    return [
        [event.step, tensor_util.make_ndarray(event.tensor_proto)[0].decode()]
        for event in accumulator.Tensors(tag)
    ]


def hparams_of(accumulator):
    content = accumulator.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    start = metadata.parse_session_start_info_plugin_data(content)
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}


def figures(event):
    histogram = event.histogram_value
    return [histogram.num, histogram.min, histogram.max, histogram.sum, sum(histogram.bucket)]


def contents(directory):
    accumulator = EventAccumulator(directory, size_guidance={"scalars": 0, "histograms": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    return {
        "scalars": {
            tag: [[event.step, event.value] for event in accumulator.Scalars(tag)]
            for tag in tags["scalars"]
        },
        "text": text_of(accumulator, "config/text_summary"),
        "hparams": hparams_of(accumulator),
        "histograms": {
            tag: {event.step: figures(event) for event in accumulator.Histograms(tag)}
            for tag in tags["histograms"]
        },
    }


print(json.dumps([contents(directory) for directory in sys.argv[1:]]))
