"""A small probabilistic grammar of English-like sentences whose entropy is known exactly.

A sentence, in symbols (a symbol is a word, the end of a sentence or the end of a paragraph):

    topic subject FILLER verb object end                            probability 1 - RELATIVE
    topic subject whom subject' FILLER verb' verb object end        probability RELATIVE
    FILLER = place-phrase with qualifier, place-phrase, and with probability THIRD one more place-phrase

Each verb is determined by its own subject and the object by the topic, at least six positions earlier, so a model sees the
difference between knowing and guessing only if it remembers: a 5-gram, which sees four words back, cannot. Everything else is drawn
independently: subjects and topics evenly, prepositions, qualifiers and places (given their preposition) by the weights below.

All quantities are in nats. Standard library only.
"""

import bisect
import itertools
import math
import random

# n-th topic goes with n-th object, n-th subject with n-th verb.
TOPICS = ("Music: Harvest: Weather: History: Trade: Friendship: Memory: Winter: "
          "Justice: Travel: Cooking: Fishing: Gardens: Letters: Numbers: Dreams:").split()
OBJECTS = ("melodies barley clouds ruins silver promises portraits icicles "
           "verdicts maps bread herring roses envelopes ledgers pillows").split()
SUBJECTS = ("bakers sailors weavers judges shepherds painters doctors farmers "
            "pilots tailors hunters masons singers clerks miners teachers").split()
VERBS = ("knead steer weave weigh guard paint mend plough "
         "chart stitch follow carve praise copy dig explain").split()
PREPOSITIONS = {"near": 0.4, "under": 0.3, "behind": 0.2, "beyond": 0.1}
QUALIFIERS = {"quiet": 0.3, "old": 0.25, "narrow": 0.15, "green": 0.15, "empty": 0.1, "famous": 0.05}
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
    """`sentences_per_paragraph`: mean (geometric), 0 for one endless paragraph. `num_pairs`: how many of the topics and subjects
    are in use (2 to 16); tests use few so that every sentence can be listed."""

    def __init__(self, sentences_per_paragraph=0, num_pairs=16):
        self.num_pairs = num_pairs
        self.break_probability = 1.0 / sentences_per_paragraph if sentences_per_paragraph else 0.0
        self._draws = {name: self._table(weights) for name, weights in
                       [("preposition", PREPOSITIONS), ("qualifier", QUALIFIERS), *PLACES.items()]}

    @staticmethod
    def _table(weights):
        return list(weights), list(itertools.accumulate(weights.values())), {w: math.log(p) for w, p in weights.items()}

    # -- sampling ---------------------------------------------------------------------------------------------------------------

    def sample_sentence(self, uniform):
        """One sentence as a list of symbols, and its log probability. `uniform()` gives numbers in [0, 1)."""
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

    # -- exact entropies --------------------------------------------------------------------------------------------------------

    def sentence_length(self):
        """Expected number of symbols of a sentence, its end (and paragraph end) included."""
        return 10 + 3 * RELATIVE + 2 * THIRD + self.break_probability

    def sentence_entropy(self):
        place = sum(p * entropy(PLACES[w].values()) for w, p in PREPOSITIONS.items())
        phrase = entropy(PREPOSITIONS.values()) + place
        total = (2 + RELATIVE) * math.log(self.num_pairs) + entropy([RELATIVE, 1 - RELATIVE])
        total += (2 + THIRD) * phrase + entropy(QUALIFIERS.values()) + entropy([THIRD, 1 - THIRD])
        return total + entropy([self.break_probability, 1 - self.break_probability])

    def entropy_rate(self):
        """Nats per symbol. Exact: a sentence boundary is visible and sentences are independent (renewal process)."""
        return self.sentence_entropy() / self.sentence_length()

    def ngram_entropy(self, order):
        """Nats per symbol of the best possible n-gram: the conditional entropy of a symbol given the order - 1 before it.

        Exact for order <= 6: no window of six symbols holds both a verb and its subject, or an object and its topic, so within
        the window every word of these four classes is even and independent of all else. The windows are therefore enumerated with
        one label for each such class, and every such word adds ln(num_pairs).
        """
        if not 1 <= order <= 6:
            raise ValueError(f"order: {order}; expected 1 to 6")
        windows = [entropy(self._windows(length).values()) for length in (order, order - 1)]
        even_words = (4 + 2 * RELATIVE) / self.sentence_length()
        return windows[0] - windows[1] + even_words * math.log(self.num_pairs)

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
        """state -> [(label, probability, next state)], one label per symbol; even classes are one label."""
        states = {"topic": [("TOPIC", 1.0, "subject")]}

        def even(state, label, following):
            states[state] = [(label, p, n) for p, n in following if p > 0]

        even("subject", "SUBJECT", [(RELATIVE, "whom"), (1 - RELATIVE, "plain 1")])
        even("whom", WHOM, [(1.0, "inner subject")])
        even("inner subject", "SUBJECT", [(1.0, "relative 1")])
        for kind, verb in (("plain", "verb"), ("relative", "inner verb")):
            ends = [(THIRD, f"{kind} 3"), (1 - THIRD, verb)]
            self._phrase(states, f"{kind} 1", [(1.0, f"{kind} 2")], qualified=True)
            self._phrase(states, f"{kind} 2", ends, qualified=False)
            self._phrase(states, f"{kind} 3", [(1.0, verb)], qualified=False)
        even("inner verb", "VERB", [(1.0, "verb")])
        even("verb", "VERB", [(1.0, "object")])
        even("object", "OBJECT", [(1.0, "end")])
        even("end", END, [(self.break_probability, "paragraph"), (1 - self.break_probability, "topic")])
        even("paragraph", PARAGRAPH, [(1.0, "topic")])
        return states

    @staticmethod
    def _phrase(states, name, following, qualified):
        middle = " qualifier " if qualified else " "
        states[name] = [(w, p, f"{name}{middle}{w}") for w, p in PREPOSITIONS.items()]
        for preposition in PREPOSITIONS:
            if qualified:
                states[f"{name} qualifier {preposition}"] = [(w, p, f"{name} {preposition}") for w, p in QUALIFIERS.items()]
            states[f"{name} {preposition}"] = [(w, p * q, n) for w, p in PLACES[preposition].items() for q, n in following]

    @staticmethod
    def _visits(transitions):
        """Expected visits of each state per sentence. Sentences start at "topic" and the automaton has no other cycle."""
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


# -- text -----------------------------------------------------------------------------------------------------------------------


def letters():
    """One printable byte per word."""
    places = sorted({place for row in PLACES.values() for place in row})
    words = [*TOPICS, *OBJECTS, *SUBJECTS, *VERBS, *PREPOSITIONS, *QUALIFIERS, *places, WHOM]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345abcdefghijklmnopqrstuvwxyz6789!?" "<>[]" "*+=-/~" "#$%&@^|_" ","
    if len(words) != len(set(words)) or len(words) != len(alphabet):
        raise AssertionError("each word needs a letter of its own")
    return dict(zip(words, alphabet))


def render(symbols, alphabet, table):
    """A sentence (one list of symbols) as text."""
    words = [s for s in symbols if s not in (END, PARAGRAPH)]
    text = "".join(table[w] for w in words) + "\n" if alphabet == "letters" else " ".join(words) + ".\n"
    return text + "\n" if symbols[-1] == PARAGRAPH else text


def generate(grammar, alphabet, num_bytes, seed):
    """Sentences until the text reaches num_bytes. Returns the text and its statistics."""
    uniform = random.Random(seed).random      # random() alone is the same in every Python version
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
        return sum(map(len, words[:grammar.num_pairs])) / grammar.num_pairs

    def weighted(weights):
        return sum(p * len(w) for w, p in weights.items())

    phrase = weighted(PREPOSITIONS) + sum(p * weighted(PLACES[w]) for w, p in PREPOSITIONS.items())
    words = mean(TOPICS) + mean(OBJECTS) + (1 + RELATIVE) * (mean(SUBJECTS) + mean(VERBS)) + RELATIVE * len(WHOM)
    words += (2 + THIRD) * phrase + weighted(QUALIFIERS)
    # Each word brings one blank but the last, which brings ".\n".
    return words + expected_words_per_sentence(grammar) + 1 + grammar.break_probability


def expected_words_per_sentence(grammar):
    return grammar.sentence_length() - 1 - grammar.break_probability


def description(grammar, alphabet):
    """What is known about the process, exactly. Keys of the JSON file beside a generated corpus."""
    length = grammar.sentence_length()
    per_sentence, best_5gram = grammar.sentence_entropy(), grammar.ngram_entropy(5) * length
    words, num_bytes = expected_words_per_sentence(grammar), expected_bytes_per_sentence(grammar, alphabet)
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
