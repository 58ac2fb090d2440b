"""Clusters as one page: a file that needs nothing else, can be sent by mail and asks for nothing from anywhere."""

from collections.abc import Callable
from datetime import date

from neuralshelf.personalisation.groups import SHOWN
from neuralshelf.personalisation.numbering import Clustered
from neuralshelf.templates import render_text
from neuralshelf.thumbnails import Picture, thumbnail


def page(
    found: Clustered,
    *,
    title: str,
    picture: Callable[[str], Picture | None],
    today: date,
    dry_run: bool = False,
) -> str:
    """HTML of the report.

    Args:
        picture: by its `image_path`; None where it can't be found.
        today: when clusters were found.
        dry_run: nothing was written.
    """
    members = {one.id: one for group in found.groups for one in (*group.nearest, *group.random)}
    pictures = {}
    for identity, one in members.items():
        pixels = picture(one.picture) if one.picture else None
        pictures[identity] = "" if pixels is None else thumbnail(pixels)
    return render_text(
        "report/clusters.html.j2",
        found=found,
        title=title,
        day=f"{today:%Y-%m-%d}",
        dry_run=dry_run,
        # ids are anybody's texts, anchors are not
        places={group.id: f"c{place}" for place, group in enumerate(found.groups)},
        pictures=pictures,
        pictured=any(pictures.values()),
        named=any(one.picture for one in members.values()),
        highest=max((one.silhouette for one in found.measured), default=1.0) or 1.0,
        without=str(found.without),
        shown=SHOWN,
    )
