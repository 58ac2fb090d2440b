"""What ranking for a person is worth to real people: films that they rated well later, of those that answer a question.

    python tests/bench/ratings.py --prepare FOLDER       # FOLDER has ml-100k.inter and ml-100k.item
    neuralshelf up && neuralshelf ingest items.jsonl && neuralshelf cluster && neuralshelf apply      # in FOLDER
    python tests/bench/ratings.py FOLDER

MovieLens 100K (Harper and Konstan, "The MovieLens datasets: history and context", 2015), 943 people, in the files of
RecBole, which its package on PyPI brings (recbole/dataset_example/ml-100k). Its licence allows research and no handing
on, so it is not in this repository.

Of each person the first four fifths of their ratings, by time, are the history: 4 and more stars a favourite, 3 a view,
less a dislike. Films that they gave 4 stars or more after it are what they want: for ten of them a question that the
film answers (genres and decades, questions.py) is asked, and every film wanted that answers it counts. Nothing is
simulated but the questions. To tell a person's taste from everybody's, the same is done with the history of somebody
else, and with what all did.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from personal import Index, shop, shown
from personas import Ask, Person, Shop
from tabulate import tabulate
from trial import BLENDS, Trial

from neuralshelf.model_packages.ranker.ranking import Taste
from neuralshelf.model_packages.ranker.store import Interaction

TRAINED = 0.8
LIKED = 4.0
ASKS = 10
EVERYBODY = "everybody"
CONFIG = """\
project: films
connectors:
  text: {kind: sagemaker-text, endpoint: neuralshelf-minilm, dimension: 384}
index:
  name: films
  fields: {title: text, description: text, genres: keyword, decade: keyword, cluster: keyword}
  vectors:
    text_vector: {connector: text, text: [title, description]}
clusters: {vector: text_vector}
ranking: {item: cluster}
search:
  template: film-search
  keyword: ["title^3", "description"]
  weights: {keyword: 0.4, text_vector: 0.6}
  filters: [genres, decade]
"""


def lines(path: Path) -> Iterator[list[str]]:
    """Rows of a file of RecBole, without its header."""
    yield from (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:])


def prepare(folder: Path) -> None:
    """Write catalogue and configuration into the folder."""
    rows = []
    for film, title, year, genres in lines(folder / "ml-100k.item"):
        if year.isdigit() and genres != "unknown":
            names = sorted(genres.split())
            text = f"{', '.join(names)} film of {year}"
            row = {
                "id": film,
                "title": title,
                "description": text,
                "genres": " ".join(names),
                "decade": f"{year[:3]}0s",
            }
            rows.append(json.dumps(row) + "\n")
    (folder / "items.jsonl").write_text("".join(rows), encoding="utf-8")
    (folder / "neuralshelf.yaml").write_text(CONFIG, encoding="utf-8")


def people(path: Path, where: Shop, seed: int) -> list[Person]:
    """Those who later rated films well that some question is answered by."""
    rated: dict[str, list[tuple[float, str, float]]] = {}
    for user, film, stars, at in lines(path):
        if film in where.categories:
            rated.setdefault(user, []).append((float(at), film, float(stars)))
    answered: dict[str, list[str]] = {}
    for text, films in where.questions.items():
        for film in films:
            answered.setdefault(film, []).append(text)
    found = []
    for user in sorted(rated, key=int):
        chance = random.Random(f"{seed} {user}")
        ratings = sorted(rated[user])
        cut = round(TRAINED * len(ratings))
        before = tuple(Interaction(user, film, event(stars), at) for at, film, stars in ratings[:cut])
        later = [film for _, film, stars in ratings[cut:] if stars >= LIKED and film in answered]
        texts = sorted({chance.choice(sorted(answered[film])) for film in chance.sample(later, min(ASKS, len(later)))})
        first = ratings[cut][0] if cut < len(ratings) else 0.0
        asks = [Ask(text, first, {film: 1 for film in later if film in where.questions[text]}) for text in texts]
        if asks:
            found.append(Person(user, "real", (), before, tuple(asks)))
    return found


def event(stars: float) -> str:
    """What a rating counts as."""
    return "favourite" if stars >= LIKED else "view" if stars >= 3 else "dislike"


def everybody(some: Sequence[Person], seed: int) -> Person:
    """Somebody who did what all did: as much of it, picked at random, as the ranker looks at."""
    history = [one._replace(user=EVERYBODY) for person in some for one in person.history]
    return Person(EVERYBODY, "real", (), tuple(random.Random(seed).sample(history, Taste().newest)), ())


def whose(some: Sequence[Person], seed: int) -> Mapping[str, str]:
    """Each person somebody else, at random."""
    names = [person.name for person in some]
    order = names[:]
    random.Random(seed).shuffle(order)
    following = dict(zip(order, [*order[1:], order[0]], strict=True))
    return {name: following[name] for name in names}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--environment", default="local")
    parser.add_argument("--item", nargs="+", default=["cluster", "genres", "id"])
    parser.add_argument("--blend", nargs="+", default=["geometric"], choices=tuple(BLENDS))
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--weight", type=float, default=0.5)
    parser.add_argument("--doubt", type=float, default=Taste().doubt, help="of the ranker")
    parser.add_argument("--people", type=int, help="so many, by chance")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.prepare:
        prepare(options.folder)
        return 0
    given = {"config": options.folder / "neuralshelf.yaml", "catalogue": options.folder / "items.jsonl"}
    given |= {"name": "films", "category": "genres", "taste": ["genres"], "queries": None, "qrels": None, "half": None}
    options = argparse.Namespace(**vars(options), **given)
    index = Index.found(options)
    where = shop(index, options)
    some = people(options.folder / "ml-100k.inter", where, options.seed)
    if options.people:
        some = random.Random(options.seed).sample(some, options.people)
    now = max(one.at for person in some for one in person.history)
    answers = index.answers([*where.questions])
    asked = sum(len(person.asks) for person in some)
    print(f"{len(where.questions)} questions about {len(index.rows)} films; {len(some)} people ask {asked}")
    rows = []
    for item in options.item:
        items = index.items(item)
        for blend in options.blend:
            trial = Trial(
                where, answers, items, BLENDS[blend], options.candidates, taste=Taste(doubt=options.doubt), now=now
            )
            same = dict.fromkeys((person.name for person in some), EVERYBODY)
            own, other = trial.outcome(some), trial.outcome(some, whose(some, options.seed))
            common = trial.outcome([*some, everybody(some, options.seed)], same)
            part = ("real", False)
            row = [f"{item} ({len(set(items.values()))})", blend, f"{own.before(part):.3f}"]
            row += [shown(each.gain(part, options.weight)) for each in (own, other, common)]
            best = [each.chosen for each in (own, common)]
            row += [shown(own.gain(part, best[0])), " ".join(f"{w:g}" for w in sorted(set(best[0].values())))]
            row += [shown(common.gain(part, best[1])), " ".join(f"{w:g}" for w in sorted(set(best[1].values())))]
            rows.append(row)
    fixed = f"at {options.weight:g}"
    headers = ["item", "blend", "before", f"own history {fixed}", "somebody else's", "everybody's", "own, chosen"]
    headers += ["weight", "everybody's, chosen", "weight"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
