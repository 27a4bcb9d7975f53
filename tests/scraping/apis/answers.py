"""What the sites' APIs answer, in the shapes that were recorded."""


def commons_page(number: int, index: int = 1, **info: object) -> dict[str, object]:
    where = "https://upload.example.org/commons"
    return {
        "pageid": number,
        "ns": 6,
        "title": f"File:Cat {number}.jpg",
        "index": index,
        "imagerepository": "local",
        "imageinfo": [
            {
                "size": 2_000_000,
                "width": 4000,
                "height": 3000,
                "thumburl": f"{where}/thumb/{number}.jpg/960px-{number}.jpg",
                "thumbwidth": 960,
                "thumbheight": 720,
                "url": f"{where}/{number}.jpg",
                "descriptionurl": f"https://commons.example.org/wiki/File:Cat_{number}.jpg",
                "sha1": "a" * 40,
                "mime": "image/jpeg",
                "timestamp": "2026-03-05T12:00:00Z",
                "extmetadata": {
                    "LicenseShortName": {"value": "CC BY-SA 4.0", "source": "commons-desc-page", "hidden": ""},
                    "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0", "hidden": ""},
                    "Artist": {"value": '<a href="//commons.example.org/User:Ann">Ann &amp;\nBob</a>'},
                },
            }
            | info
        ],
    }


def observation(number: int, *codes: str | None, **changes: object) -> dict[str, object]:
    photos = [
        {
            "id": number * 10 + place,
            "license_code": code,
            "original_dimensions": {"width": 2048, "height": 1536},
            "url": f"https://photos.example.org/photos/{number}{place}/square.jpg",
            "attribution": f"(c) Ann, some rights reserved ({code})",
        }
        for place, code in enumerate(codes)
    ]
    return {
        "id": number,
        "uri": f"https://observations.example.org/{number}",
        "species_guess": "Domestic Cat",
        "user": {"id": 1, "login": "ann1", "name": "Ann"},
        "photos": photos,
    } | changes


def photo(number: int, **changes: object) -> dict[str, object]:
    return {
        "id": str(number),
        "owner": "12345@N00",
        "secret": "s",
        "server": "65535",
        "farm": 66,
        "title": f"Cat {number}",
        "ispublic": 1,
        "license": "4",
        "ownername": "Ann",
        "url_l": f"https://live.example.org/{number}_b.jpg",
        "height_l": 683,
        "width_l": 1024,
    } | changes


def photos(found: list[dict[str, object]], page: int = 1, pages: int = 1) -> dict[str, object]:
    return {"photos": {"page": page, "pages": pages, "perpage": 100, "total": 1, "photo": found}, "stat": "ok"}


def numbered(name: str, number: int) -> dict[str, object]:
    """One page's worth of an answer with one picture."""
    return {
        "wikimedia": {"batchcomplete": True, "query": {"pages": [commons_page(number)]}},
        "inaturalist": {"total_results": 1, "page": 1, "per_page": 100, "results": [observation(number, "cc0")]},
        "flickr": photos([photo(number)]),
    }[name]


NOTHING = {
    "wikimedia": {"batchcomplete": True},
    "inaturalist": {"total_results": 0, "page": 1, "per_page": 100, "results": []},
    "flickr": photos([], pages=0),
}
