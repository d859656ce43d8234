"""Reads the event files of a run with TensorBoard's own reader; prints one JSON object.

    read_events.py DIRECTORY

Scalars as {tag: [[step, value], ...]}, the text and the hparams as TensorBoard parses them, and
histograms as {tag: {step: [num, min, max, sum, sum of the buckets]}}.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.util import tensor_util

accumulator = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0})
accumulator.Reload()
tags = accumulator.Tags()


def text_of(tag):
    return [
        [event.step, tensor_util.make_ndarray(event.tensor_proto)[0].decode()]
        for event in accumulator.Tensors(tag)
    ]


def hparams():
    content = accumulator.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    start = metadata.parse_session_start_info_plugin_data(content)
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}


print(
    json.dumps(
        {
            "scalars": {
                tag: [[event.step, event.value] for event in accumulator.Scalars(tag)]
                for tag in tags["scalars"]
            },
            "wall": [event.wall_time for event in accumulator.Scalars("train/loss")],
            "text": text_of("config/text_summary"),
            "hparams": hparams(),
            "histograms": {
                tag: {
                    event.step: [
                        event.histogram_value.num,
                        event.histogram_value.min,
                        event.histogram_value.max,
                        event.histogram_value.sum,
                        sum(event.histogram_value.bucket),
                    ]
                    for event in accumulator.Histograms(tag)
                }
                for tag in tags["histograms"]
            },
        }
    )
)
