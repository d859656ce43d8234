"""A small probabilistic grammar of English-like sentences with exactly known entropy.

A sentence, in symbols (a symbol is a word, the end of a sentence or the end of a paragraph):

    topic subject FILLER verb object end                            probability 1 - RELATIVE
    topic subject whom subject' FILLER verb' verb object end        probability RELATIVE
    FILLER = place-phrase with qualifier, place-phrase, and with probability THIRD another one

The subject determines its verb and the topic determines the object, each at least six positions
later. Predicting them requires long-range memory: a 5-gram, with a context of four words, can only
guess. All other choices are independent: subjects and topics are uniform; prepositions, qualifiers
and places (given their preposition) have the weights below.

All quantities are in nats. Standard library only.
"""

import bisect
import itertools
import math
import random

# The n-th topic determines the n-th object, the n-th subject the n-th verb.
TOPICS = (
    "Music: Harvest: Weather: History: Trade: Friendship: Memory: Winter: "
    "Justice: Travel: Cooking: Fishing: Gardens: Letters: Numbers: Dreams:"
).split()
OBJECTS = (
    "melodies barley clouds ruins silver promises portraits icicles "
    "verdicts maps bread herring roses envelopes ledgers pillows"
).split()
SUBJECTS = (
    "bakers sailors weavers judges shepherds painters doctors farmers "
    "pilots tailors hunters masons singers clerks miners teachers"
).split()
VERBS = (
    "knead steer weave weigh guard paint mend plough "
    "chart stitch follow carve praise copy dig explain"
).split()
PREPOSITIONS = {"near": 0.4, "under": 0.3, "behind": 0.2, "beyond": 0.1}
QUALIFIERS = {
    "quiet": 0.3,
    "old": 0.25,
    "narrow": 0.15,
    "green": 0.15,
    "empty": 0.1,
    "famous": 0.05,
}
PLACES = {
    "near": {"rivers": 0.4, "markets": 0.3, "harbours": 0.2, "towers": 0.1},
    "under": {"bridges": 0.5, "towers": 0.3, "vineyards": 0.2},
    "behind": {"stables": 0.4, "markets": 0.3, "towers": 0.2, "mills": 0.1},
    "beyond": {"rivers": 0.5, "mills": 0.3, "vineyards": 0.2},
}
RELATIVE = 0.5
THIRD = 0.25
WHOM, END, PARAGRAPH = "whom", "<end>", "<paragraph>"


def entropy(probabilities):
    return -sum(p * math.log(p) for p in probabilities if p > 0)


class Grammar:
    """The process that generates sentences.

    sentences_per_paragraph: mean of a geometric distribution; 0 for a single paragraph.
    num_pairs: number of topics and subjects in use (2 to 16). Tests use few, to enumerate all
    sentences.
    """

    def __init__(self, sentences_per_paragraph=0, num_pairs=16):
        self.num_pairs = num_pairs
        self.break_probability = 1.0 / sentences_per_paragraph if sentences_per_paragraph else 0.0
        self._draws = {
            name: self._table(weights)
            for name, weights in [
                ("preposition", PREPOSITIONS),
                ("qualifier", QUALIFIERS),
                *PLACES.items(),
            ]
        }

    @staticmethod
    def _table(weights):
        return (
            list(weights),
            list(itertools.accumulate(weights.values())),
            {w: math.log(p) for w, p in weights.items()},
        )

    # -- sampling ----------------------------------------------------------------------------------

    def sample_sentence(self, uniform):
        """A sentence as a list of symbols, and its log probability. `uniform()` is in [0, 1)."""
        log_p = 0.0

        def draw(name):
            nonlocal log_p
            words, cumulative, logs = self._draws[name]
            word = words[min(bisect.bisect_right(cumulative, uniform()), len(words) - 1)]
            log_p += logs[word]
            return word

        def chance(p):
            nonlocal log_p
            taken = uniform() < p
            log_p += math.log(p if taken else 1.0 - p)
            return taken

        def pair():
            nonlocal log_p
            log_p -= math.log(self.num_pairs)
            return int(uniform() * self.num_pairs)

        topic, subject = pair(), pair()
        symbols, verbs = [TOPICS[topic], SUBJECTS[subject]], [VERBS[subject]]
        if chance(RELATIVE):
            inner = pair()
            symbols += [WHOM, SUBJECTS[inner]]
            verbs.insert(0, VERBS[inner])
        preposition = draw("preposition")
        symbols += [preposition, draw("qualifier"), draw(preposition)]
        preposition = draw("preposition")
        symbols += [preposition, draw(preposition)]
        if chance(THIRD):
            preposition = draw("preposition")
            symbols += [preposition, draw(preposition)]
        symbols += [*verbs, OBJECTS[topic], END]
        if self.break_probability and chance(self.break_probability):
            symbols.append(PARAGRAPH)
        return symbols, log_p

    # -- exact entropies ---------------------------------------------------------------------------

    def sentence_length(self):
        """Expected number of symbols of a sentence, including its end (and paragraph end)."""
        return 10 + 3 * RELATIVE + 2 * THIRD + self.break_probability

    def sentence_entropy(self):
        place = sum(p * entropy(PLACES[w].values()) for w, p in PREPOSITIONS.items())
        phrase = entropy(PREPOSITIONS.values()) + place
        total = (2 + RELATIVE) * math.log(self.num_pairs) + entropy([RELATIVE, 1 - RELATIVE])
        total += (2 + THIRD) * phrase + entropy(QUALIFIERS.values()) + entropy([THIRD, 1 - THIRD])
        return total + entropy([self.break_probability, 1 - self.break_probability])

    def entropy_rate(self):
        """Nats per symbol.

        Exact: sentence boundaries are visible and sentences are independent (renewal process).
        """
        return self.sentence_entropy() / self.sentence_length()

    def ngram_entropy(self, order):
        """Nats per symbol of the best n-gram model: H(symbol | the order - 1 symbols before it).

        Exact for order <= 6: no window of six symbols contains both a verb and its subject, or an
        object and its topic. Within a window, each word of these four classes is therefore uniform
        and independent of all others. The windows are enumerated with one label per class, and
        each such word adds ln(num_pairs).
        """
        if not 1 <= order <= 6:
            raise ValueError(f"order: {order}; expected 1 to 6")
        windows = [entropy(self._windows(length).values()) for length in (order, order - 1)]
        uniform_words = (4 + 2 * RELATIVE) / self.sentence_length()
        return windows[0] - windows[1] + uniform_words * math.log(self.num_pairs)

    def _windows(self, length):
        """Probability of each sequence of `length` labels in the stationary process."""
        transitions = self._automaton()
        counts = {}
        walks = {((), state): weight for state, weight in self._visits(transitions).items()}
        for _ in range(length):
            longer = {}
            for (labels, state), weight in walks.items():
                for label, p, following in transitions[state]:
                    key = (labels + (label,), following)
                    longer[key] = longer.get(key, 0.0) + weight * p
            walks = longer
        for (labels, _), weight in walks.items():
            counts[labels] = counts.get(labels, 0.0) + weight / self.sentence_length()
        return counts

    def _automaton(self):
        """state -> [(label, probability, next state)]; a uniform class has a single label."""
        states = {"topic": [("TOPIC", 1.0, "subject")]}

        def add(state, label, following):
            states[state] = [(label, p, n) for p, n in following if p > 0]

        add("subject", "SUBJECT", [(RELATIVE, "whom"), (1 - RELATIVE, "plain 1")])
        add("whom", WHOM, [(1.0, "inner subject")])
        add("inner subject", "SUBJECT", [(1.0, "relative 1")])
        for kind, verb in (("plain", "verb"), ("relative", "inner verb")):
            ends = [(THIRD, f"{kind} 3"), (1 - THIRD, verb)]
            self._phrase(states, f"{kind} 1", [(1.0, f"{kind} 2")], qualified=True)
            self._phrase(states, f"{kind} 2", ends, qualified=False)
            self._phrase(states, f"{kind} 3", [(1.0, verb)], qualified=False)
        add("inner verb", "VERB", [(1.0, "verb")])
        add("verb", "VERB", [(1.0, "object")])
        add("object", "OBJECT", [(1.0, "end")])
        add(
            "end",
            END,
            [(self.break_probability, "paragraph"), (1 - self.break_probability, "topic")],
        )
        add("paragraph", PARAGRAPH, [(1.0, "topic")])
        return states

    @staticmethod
    def _phrase(states, name, following, qualified):
        middle = " qualifier " if qualified else " "
        states[name] = [(w, p, f"{name}{middle}{w}") for w, p in PREPOSITIONS.items()]
        for preposition in PREPOSITIONS:
            if qualified:
                states[f"{name} qualifier {preposition}"] = [
                    (w, p, f"{name} {preposition}") for w, p in QUALIFIERS.items()
                ]
            states[f"{name} {preposition}"] = [
                (w, p * q, n) for w, p in PLACES[preposition].items() for q, n in following
            ]

    @staticmethod
    def _visits(transitions):
        """Expected visits of each state per sentence. All cycles pass through the start state."""
        visits, frontier = {}, {"topic": 1.0}
        while frontier:
            following = {}
            for state, weight in frontier.items():
                visits[state] = visits.get(state, 0.0) + weight
                for _, p, n in transitions[state]:
                    if n != "topic":
                        following[n] = following.get(n, 0.0) + weight * p
            frontier = following
        return visits


# -- text ------------------------------------------------------------------------------------------


def letters():
    """One printable byte per word."""
    places = sorted({place for row in PLACES.values() for place in row})
    words = [*TOPICS, *OBJECTS, *SUBJECTS, *VERBS, *PREPOSITIONS, *QUALIFIERS, *places, WHOM]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345abcdefghijklmnopqrstuvwxyz6789!?<>[]*+=-/~#$%&@^|_,"
    if len(words) != len(set(words)) or len(words) != len(alphabet):
        raise AssertionError("expected a different letter for each word")
    return dict(zip(words, alphabet, strict=True))


def render(symbols, alphabet, table):
    """The text of a sentence, a list of symbols."""
    words = [s for s in symbols if s not in (END, PARAGRAPH)]
    text = (
        "".join(table[w] for w in words) + "\n"
        if alphabet == "letters"
        else " ".join(words) + ".\n"
    )
    return text + "\n" if symbols[-1] == PARAGRAPH else text


def generate(grammar, alphabet, num_bytes, seed):
    """Generates sentences until the text reaches num_bytes. Returns the text and its statistics."""
    uniform = random.Random(seed).random  # the only method stable across Python versions
    table = letters() if alphabet == "letters" else {}
    pieces, size = [], 0
    statistics = {"num_bytes": 0, "num_symbols": 0, "num_words": 0, "num_sentences": 0}
    log_p = 0.0
    while size < num_bytes:
        symbols, sentence_log_p = grammar.sample_sentence(uniform)
        pieces.append(render(symbols, alphabet, table))
        size += len(pieces[-1])
        log_p += sentence_log_p
        statistics["num_symbols"] += len(symbols)
        statistics["num_words"] += sum(s not in (END, PARAGRAPH) for s in symbols)
        statistics["num_sentences"] += 1
    statistics["num_bytes"] = size
    statistics["sample_nats_per_symbol"] = -log_p / statistics["num_symbols"]
    return "".join(pieces), statistics


def expected_bytes_per_sentence(grammar, alphabet):
    if alphabet == "letters":
        return grammar.sentence_length()

    def mean(words):
        return sum(map(len, words[: grammar.num_pairs])) / grammar.num_pairs

    def weighted(weights):
        return sum(p * len(w) for w, p in weights.items())

    phrase = weighted(PREPOSITIONS) + sum(p * weighted(PLACES[w]) for w, p in PREPOSITIONS.items())
    words = (
        mean(TOPICS)
        + mean(OBJECTS)
        + (1 + RELATIVE) * (mean(SUBJECTS) + mean(VERBS))
        + RELATIVE * len(WHOM)
    )
    words += (2 + THIRD) * phrase + weighted(QUALIFIERS)
    # One space per word, except for ".\n" after the last.
    return words + expected_words_per_sentence(grammar) + 1 + grammar.break_probability


def expected_words_per_sentence(grammar):
    return grammar.sentence_length() - 1 - grammar.break_probability


def description(grammar, alphabet):
    """Exact figures of the process, by their keys in the JSON file of a generated corpus."""
    length = grammar.sentence_length()
    per_sentence, best_5gram = grammar.sentence_entropy(), grammar.ngram_entropy(5) * length
    words, num_bytes = (
        expected_words_per_sentence(grammar),
        expected_bytes_per_sentence(grammar, alphabet),
    )
    return {
        "entropy_nats_per_symbol": per_sentence / length,
        "best_5gram_nats_per_symbol": best_5gram / length,
        "gap_nats_per_symbol": (best_5gram - per_sentence) / length,
        "best_ngram_nats_per_symbol": {str(n): grammar.ngram_entropy(n) for n in range(1, 7)},
        "entropy_nats_per_word": per_sentence / words,
        "best_5gram_nats_per_word": best_5gram / words,
        "entropy_nats_per_byte": per_sentence / num_bytes,
        "best_5gram_nats_per_byte": best_5gram / num_bytes,
        "entropy_bits_per_byte": per_sentence / num_bytes / math.log(2),
    }
