"""`batch --from-s3`: pictures that lie in S3 are embedded as they lie there, and joined by their keys."""

from neuralshelf.deploy.batch.folder import S3Folder
from tests.aws_batch.conftest import BatchShop, MakeShop
from tests.aws_batch.test_batch import vectors
from tests.engine.ingestion.test_backfill import cosine
from tests.engine.ingestion.test_ingest import letters, stored

PHOTOS = "shop-photos"
ADDRESS = f"s3://{PHOTOS}/spring/photos"


def put_pictures(shop: BatchShop, *without: str) -> None:
    """All pictures of the rows into S3, and things that no row names."""
    shop.s3.create_bucket(Bucket=PHOTOS)
    for row in shop.rows:
        if "image" in row and row["id"] not in without:
            data = (shop.project.folder / row["image"]).read_bytes()
            shop.s3.put_object(Bucket=PHOTOS, Key=f"spring/photos/{row['image']}", Body=data)
    shop.s3.put_object(Bucket=PHOTOS, Key="spring/photos/read-me.txt", Body=b"no picture")
    shop.s3.put_object(Bucket=PHOTOS, Key="spring/photos-of-others/1.jpg", Body=b"no picture")


def test_pictures_are_sent_as_they_are_and_joined_by_key(make_shop: MakeShop) -> None:
    shop = make_shop(20)
    put_pictures(shop, "p9")
    shop.s3.put_object(Bucket=PHOTOS, Key="spring/photos/images/7.jpg", Body=b"\xff\xd8 broken")
    shop.rows.append({"id": "twin", "title": "twin of one", "brand": "Acme", "image": "images/1.jpg"})
    shop.write()
    done = shop.batch_json("--from-s3", ADDRESS, code=3)
    jobs = {job["connector"]: job for job in done["jobs"]}
    assert (jobs["picture"]["files"], jobs["picture"]["unanswered"], jobs["picture"]["status"]) == (9, 1, "Failed")
    assert (jobs["text"]["files"], jobs["text"]["unanswered"]) == (21, 0)
    sent = [body for media, body in shop.service.requests if media == "application/x-image"]
    assert sorted(sent) == sorted(
        shop.s3.get_object(Bucket=PHOTOS, Key=f"spring/photos/images/{number}.jpg")["Body"].read()
        for number in range(1, 20, 2)
        if number != 9
    )
    assert set(letters(shop.project)) == {"p7", "p9"}
    assert (done["indexed"], done["given"]["complete"]) == (19, 19)
    assert (len(shop.keys()), len(shop.keys(PHOTOS))) == (0, 9 + 2)
    made = vectors(shop)
    shop.project.run("ingest", str(shop.catalogue), "--restart")
    online = vectors(shop)
    for identity, found in made.items():
        for name, value in found.items():
            assert cosine(value, online[identity][name]) >= 0.9999, (identity, name)


def test_answers_that_are_here_are_not_downloaded_again(make_shop: MakeShop) -> None:
    shop = make_shop(12)
    put_pictures(shop)
    read, count = S3Folder.read, 0

    class Killed(BaseException):
        pass

    def few(folder: S3Folder, *words: object) -> bytes:
        nonlocal count
        count += 1
        if count == 4:
            raise Killed
        return read(folder, *words)  # type: ignore[arg-type]

    words = ("--from-s3", ADDRESS, "--endpoint", "neuralshelf-clip")
    try:
        S3Folder.read = few  # type: ignore[method-assign, assignment]
        shop.batch(*words)
        raise AssertionError("it was not killed")
    except Killed:
        pass
    finally:
        S3Folder.read = read  # type: ignore[method-assign]
    folder = shop.project.folder / "state" / "batch"
    (file,) = folder.rglob("pictures.jsonl")
    file.write_bytes(file.read_bytes() + b'{"id": "p1", "torn')
    shop.batch(*words)
    assert len(shop.service.jobs) == 1
    assert len(stored(shop.project)) == 12
    assert not list(folder.glob("*/*"))


def test_a_folder_without_any_of_the_pictures_is_refused(make_shop: MakeShop) -> None:
    shop = make_shop(4)
    put_pictures(shop)
    shop.batch("--from-s3", f"s3://{PHOTOS}/spring", code=1)
    assert f"s3://{PHOTOS}/spring holds no picture that a row names" in shop.err
    shop.batch("--from-s3", f"s3://{PHOTOS}", code=2)
    assert "write s3://BUCKET/PREFIX" in shop.err
    shop.batch("--from-s3", ADDRESS, "--connector", "text", code=2)
    assert "leave out --from-s3" in shop.err
