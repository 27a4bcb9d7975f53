"""How the pages of image searches are read: the one place for their selectors.

Only ids, roles, links and data attributes that carry meaning are used, never class names that a site's
build makes up. `tests/scraping/golden` has a small page in the shape of each; change both together, and
the date with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SELECTORS_OF = "2026-01"

Field = tuple[str, str]


@dataclass(frozen=True)
class Page:
    """A page that shows pictures in tiles. Selectors are CSS, "" where a page has no such thing.

    Attributes:
        tiles: what holds one picture and what is said of it.
        fields: by name, a selector within the tile ("" for itself) and attributes, the first that says
            something counts ("" for the text, "data-src|src" for either). `picture` is needed: a tile
            without one is not there yet. Addresses that are data are passed over.
        press: what has to be pressed before it shows its address.
        more: a button that shows more.
        next: a link to the next page.
        end: what only a page shown to its end has; without it, the end is nothing new for a while.
        nothing: what says that there are no results.
        consent: a button that refuses all that is not necessary.
        blocked: what only a page has that asks whether one is human, or turns one away.
    """

    tiles: str
    fields: Mapping[str, Field]
    press: str = ""
    more: str = ""
    next: str = ""
    end: str = ""
    nothing: str = ""
    consent: str = ""
    blocked: str = ""


ANY_CONSENT = ", ".join(
    (
        "#onetrust-reject-all-handler",
        "#CybotCookiebotDialogBodyButtonDecline",
        "#CybotCookiebotDialogBodyLevelButtonLevelOptinDeclineAll",
        "#didomi-notice-disagree-button",
        "#truste-consent-required",
        ".fc-cta-do-not-consent",
        "[data-testid='uc-deny-all-button']",
    )
)
ANY_BLOCK = ", ".join(
    (
        "form#captcha-form",
        "#challenge-form",
        "#challenge-running",
        "iframe[src*='challenges.cloudflare.com']",
        "iframe[src*='/recaptcha/']",
        "iframe[src*='hcaptcha.com']",
        ".g-recaptcha",
        ".h-captcha",
        ".cf-turnstile",
        "[id*='captcha' i]",
    )
)

BING = Page(
    tiles="a.iusc[m]",
    fields={"picture": ("", "m")},
    more="a.btn_seemore",
    nothing="#mmComponent_images_1 .no_results, #b_results .b_no, #vm_c .dg_b_no",
    consent="#bnp_btn_reject",
    blocked=f"#b_captcha, .captcha_header, {ANY_BLOCK}",
)
DUCKDUCKGO = Page(
    tiles="figure, [data-testid='image-result'], [data-id][data-image]",
    fields={
        "picture": (
            "[data-image], img[src*='/iu/?u='], img[data-src*='/iu/?u=']",
            "data-image|data-src|src",
        ),
        "page": ("a[href^='http']", "href"),
        "title": ("img[alt]", "alt"),
    },
    nothing="[data-testid='no-results-message'], .no-results",
    blocked=f"[data-testid='anomaly-modal'], #challenge-form, form[action*='anomaly'], {ANY_BLOCK}",
)
GOOGLE = Page(
    tiles="[data-lpage], a[href*='/imgres?']",
    fields={"picture": ("a[href*='/imgres?']", "href"), "title": ("img[alt]", "alt")},
    press="[data-lpage] a:not([href])",
    nothing="#topstuff [role='heading']",
    consent="form:has(input[name='set_eom'][value='true']) button",
    blocked=f"form[action*='/sorry/'], {ANY_BLOCK}",
)
