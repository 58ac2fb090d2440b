"""Products and their documents: what keeps a search from listing each product once, with the most of them in reach."""

from collections.abc import Iterator

from neuralshelf.pipelines.spec import MAX_VIEWS
from neuralshelf.provision.verify.check import Check
from neuralshelf.provision.verify.subject import Subject
from neuralshelf.views import count_views


def check_views(subject: Subject) -> Iterator[Check]:
    """Every document names its product, and no product has more of them than the search reckons with."""
    index = subject.index
    if index.product is None:
        return
    of = f"{subject.index_address}, {index.product}"
    counted = count_views(subject.client, index.physical_name, index.product, most=1)
    if counted.without:
        found = f"{counted.without} documents have none: a search takes all of them for one product"
        yield Check("views", of, False, found, f"index them with {index.product}")
        return
    for product, views in counted.products.items():
        if views > index.views:
            found = f"{product} has {views} documents, index.views is {index.views}: they may keep other products out"
            fits = views <= MAX_VIEWS
            remedy = f"raise index.views to {views}, then neuralshelf apply" if fits else "give it fewer documents"
            yield Check("views", of, False, found, remedy)
            return
    yield Check("views", of, True, f"at most {max(counted.products.values(), default=0)} of {index.views}")
