#!/usr/bin/env python3
"""Data of the tasks sluice_texts and sluice_choices, and their figures by `sluice score`.

  sluice_tasks.py make TEXT OUT      TEXT has paragraphs of lines, such as data/kjv.txt; writes
                                     OUT/texts.jsonl    a text per paragraph
                                     OUT/choices.jsonl  contexts and four possible next lines
                                     OUT/pairs.jsonl    each context with each of its choices
  sluice_tasks.py figures OUT        from OUT/texts.scores.jsonl and OUT/pairs.scores.jsonl, the
                                     output of `sluice score --input`, as the harness defines them

Needs only the standard library.
"""

import argparse
import json
import math
import pathlib
import random
import sys

NUM_CHOICES = 4
DELIMITER = "\n"  # target_delimiter of sluice_choices.yaml


def read_lines(path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_lines(path, records):
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def paragraphs_of(text):
    """Lists of lines without blanks at their ends."""
    paragraphs, lines = [], []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line.strip())
        elif lines:
            paragraphs.append(lines)
            lines = []
    return paragraphs


def make_choice(place, different_lines, draw):
    """A context of up to three lines, and the next line among random ones."""
    paragraph, position = place
    answer = paragraph[position]
    others = [line for line in draw.sample(different_lines, NUM_CHOICES) if line != answer]
    choices = others[: NUM_CHOICES - 1]
    label = draw.randrange(NUM_CHOICES)
    choices.insert(label, answer)
    context = DELIMITER.join(paragraph[max(0, position - 3) : position])
    return {"context": context, "choices": choices, "label": label}


def make(arguments):
    paragraphs = paragraphs_of(arguments.text.read_text(encoding="utf-8"))
    places = [
        (paragraph, position)
        for paragraph in paragraphs
        for position in range(1, len(paragraph))
        if len(paragraph[position]) <= arguments.longest
    ]
    different_lines = sorted({paragraph[position] for paragraph, position in places})
    if len(different_lines) < NUM_CHOICES:
        sys.exit(
            f"{arguments.text}: received {len(different_lines)} different lines after another "
            f"one with at most {arguments.longest} characters; expected at least {NUM_CHOICES}"
        )
    draw = random.Random(arguments.seed)
    texts = draw.sample(paragraphs, min(arguments.texts, len(paragraphs)))
    questions = [
        make_choice(draw.choice(places), different_lines, draw) for _ in range(arguments.choices)
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_lines(arguments.out / "texts.jsonl", [{"text": "\n".join(lines)} for lines in texts])
    write_lines(arguments.out / "choices.jsonl", questions)
    pairs = [
        {"context": question["context"], "continuation": DELIMITER + choice}
        for question in questions
        for choice in question["choices"]
    ]
    write_lines(arguments.out / "pairs.jsonl", pairs)


def scores_of(path, num_expected):
    scores = [line["log_probability"] for line in read_lines(path)]
    if len(scores) != num_expected:
        sys.exit(f"{path}: received {len(scores)} lines; expected {num_expected}, as in its input")
    return scores


def perplexities(texts, scores):
    nats = -sum(scores)
    num_bytes = sum(len(text.encode()) for text in texts)
    return {
        "word_perplexity": math.exp(nats / sum(len(text.split()) for text in texts)),
        "byte_perplexity": math.exp(nats / num_bytes),
        "bits_per_byte": nats / num_bytes / math.log(2),
    }


def accuracies(questions, scores):
    num_right = {"acc": 0, "acc_norm": 0}
    position = 0
    for question in questions:
        choices = question["choices"]
        found = scores[position : position + len(choices)]
        position += len(choices)
        per_character = [score / len(choice) for score, choice in zip(found, choices, strict=True)]
        num_right["acc"] += found.index(max(found)) == question["label"]
        num_right["acc_norm"] += per_character.index(max(per_character)) == question["label"]
    return {name: count / len(questions) for name, count in num_right.items()}


def figures(arguments):
    out = arguments.out
    texts = [line["text"] for line in read_lines(out / "texts.jsonl")]
    questions = read_lines(out / "choices.jsonl")
    num_pairs = sum(len(question["choices"]) for question in questions)
    result = perplexities(texts, scores_of(out / "texts.scores.jsonl", len(texts)))
    result |= accuracies(questions, scores_of(out / "pairs.scores.jsonl", num_pairs))
    print(json.dumps(result, indent=2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("make", help="write the data of both tasks")
    command.add_argument("text", type=pathlib.Path)
    command.add_argument("out", type=pathlib.Path)
    command.add_argument("--texts", type=int, default=50, help="number of texts (default: 50)")
    command.add_argument(
        "--choices", type=int, default=200, help="number of questions (default: 200)"
    )
    command.add_argument(
        "--longest",
        type=int,
        default=300,
        help="characters of a choice; its tokens must fit into the model's window (default: 300)",
    )
    command.add_argument("--seed", type=int, default=1)
    command.set_defaults(function=make)
    command = commands.add_parser("figures", help="print the figures by `sluice score`")
    command.add_argument("out", type=pathlib.Path)
    command.set_defaults(function=figures)
    arguments = parser.parse_args()
    arguments.function(arguments)


if __name__ == "__main__":
    main()
