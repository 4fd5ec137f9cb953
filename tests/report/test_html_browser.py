"""The page in a real browser. Skipped, with a notice, where there is none."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace

import pytest

from asim_fx.report.html import to_html
from tests.report.synthetic import probed, resnet_like, scheduled, vit_like

webdriver = pytest.importorskip("selenium.webdriver", reason="NOTICE: selenium is missing; the page was not opened")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
NASTY = "<script>window.hit=1</script><img src=x onerror=hit=1>"

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="NOTICE: no chromium with chromedriver here; the HTML report was not opened"
)
if not (BROWSER and DRIVER):
    warnings.warn("no chromium with chromedriver here; the HTML report is not tested in a browser", stacklevel=1)


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1400,1000",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, tmp_path):
    report = scheduled(vit_like())
    first = replace(report.rows[0], name=NASTY, notes=(NASTY,), provenance={NASTY: NASTY})
    path = tmp_path / "report.html"
    path.write_text(to_html(replace(report, model=NASTY, rows=(first, *report.rows[1:]))), encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(path.as_uri())
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert browser.execute_script("return window.hit") is None


def find(page, selector):
    return page.find_element("css selector", selector)


def column(page, number):
    script = """
        const rows = document.querySelectorAll("#site-table tbody tr:not([hidden])");
        return [...rows].map((row) => row.cells[arguments[0]].textContent);
    """
    return page.execute_script(script, number)


def test_columns_sort_by_click_and_by_keyboard(page):
    header = find(page, "th[data-key=macs]")
    button = header.find_element("css selector", "button")
    button.click()
    assert header.get_attribute("aria-sort") == "descending"
    largest = column(page, 1)[0]
    assert largest.endswith("mlp.fc1")
    button.send_keys("\n")
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(page, 1)[0] == "head"
    find(page, "th[data-key=name] button").click()
    assert header.get_attribute("aria-sort") is None
    names = column(page, 1)
    assert names.index("blocks.2.attn.qk") < names.index("blocks.10.attn.qk")


def test_search_and_filters_narrow_the_table(page):
    assert find(page, "#shown").text == "74 sites"
    find(page, "#search").send_keys("attn.qk")
    assert find(page, "#shown").text == "24 of 74 sites"  # qk and qkv
    find(page, ".chip[data-value=qk]").click()
    assert len(column(page, 1)) == 12
    find(page, ".chip[data-value=float]").click()
    assert column(page, 1) == ["blocks.11.attn.qk"]
    assert find(page, ".chip[data-value=float]").get_attribute("aria-pressed") == "true"
    find(page, "#search").clear()
    find(page, "#search").send_keys("additive mask")
    assert column(page, 1) == ["blocks.11.attn.qk"]


def test_a_row_opens_with_every_figure_its_origin_and_its_bit_plan(page):
    find(page, "#site-3 .open").click()
    panel = find(page, "#detail")
    assert panel.get_attribute("open") is not None
    assert find(page, "#detail-name").text == "blocks.0.attn.av"
    fields = {e.get_attribute("data-field"): e.text for e in panel.find_elements("css selector", "dd[data-field]")}
    assert fields["macs"] == "7,451,328"
    assert {"op", "k", "target", "signed", "macro", "row_tiles", "cycles", "reads"} <= set(fields)
    cells = find(page, "#detail .plan use").get_attribute("href")
    assert len(page.find_elements("css selector", f"{cells} rect.analog")) == 64
    assert "macro.adc.bits 8 macros.m, chip.yaml:4" in panel.text
    find(page, "#next").click()
    assert find(page, "#detail-name").text == "blocks.0.attn.proj"
    find(page, "#close").click()
    assert panel.get_attribute("open") is None
    assert page.switch_to.active_element.text == "blocks.0.attn.proj"


def test_untrusted_names_stay_text_in_the_panel(page):
    find(page, "#site-0 .open").click()
    assert find(page, "#detail-name").text == NASTY
    assert page.execute_script("return document.querySelectorAll('img').length") == 0


def test_a_box_leads_to_its_row_even_when_filtered_out(page):
    find(page, "#search").send_keys("nothing is called this")
    assert column(page, 1) == []
    click = "new MouseEvent('click', {bubbles: true, cancelable: true})"
    page.execute_script(f"document.querySelector('.canvas a[href=\"#site-40\"]').dispatchEvent({click})")
    assert "found" in find(page, "#site-40").get_attribute("class")
    assert find(page, "#site-40").is_displayed()


def test_the_drawing_zooms(page):
    before = find(page, ".canvas svg").size["height"]
    find(page, ".zoom [data-zoom=in]").click()
    assert find(page, ".canvas svg").size["height"] == pytest.approx(1.25 * before, rel=0.01)
    find(page, ".zoom [data-zoom=all]").click()
    assert find(page, ".canvas svg").size["height"] <= find(page, ".canvas").size["height"] + 1


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """A page with everything on it: three rounds, unknown energy, voted and digital cells."""
    report = scheduled(resnet_like(), rounds=3)
    row = report.rows[1]
    models = {**row.cost_models, "adc": "unknown: needs `cost.node_nm`"}
    odd = replace(row, energy_parts_j={**row.energy_parts_j, "adc": None}, energy_low_j=None, cost_models=models)
    path = tmp_path_factory.mktemp("page") / "report.html"
    whole = replace(report, rows=(report.rows[0], odd, *report.rows[2:]))
    path.write_text(to_html(whole, probed(report)), encoding="utf-8")
    return path


def show(browser, path, width, *, scheme="light", media="screen"):
    """Open a page as a screen of ``width`` or a printer has it."""
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 800}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wanted = {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    browser.get(path.as_uri())


@pytest.fixture
def clean(browser):
    yield browser
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


VIEWS = {
    "energy": (".bars .stack rect", 40),
    "unknown energy": (".bars .open-end", 3),  # all of it, the module, the site
    "bit plans": (".plans figure use", 2),
    "small plans": (".plan-cell .glyph", 52),
    "slots": (".gantt rect:not(.slot-load)", 52),
    "loading": (".gantt rect.slot-load", 3),
    "utilisation": (".gantt .curve", 1),
    "fidelity": (".gantt circle", 4 * 53),
    "dataflow": (".canvas a", 54),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_drawing_is_there_and_the_page_never_scrolls_sideways(clean, drawings, width, scheme):
    show(clean, drawings, width, scheme=scheme)
    sizes = """
        return [...document.querySelectorAll(arguments[0])].map((e) => {
            const box = e.getBoundingClientRect();
            return [box.width, box.height, box.right];
        });
    """
    for name, (selector, least) in VIEWS.items():
        found = clean.execute_script(sizes, selector)
        assert len(found) >= least, name
    for selector in (".bars .stack", ".plans figure svg", ".gantt .lanes svg"):
        shown = [box for box in clean.execute_script(sizes, selector) if box[0]]
        assert shown
        for wide, high, right in shown:
            assert wide > 100
            assert high > 8
            assert right <= width
    assert clean.execute_script("return document.documentElement.scrollWidth") <= width


CONTRAST = """
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    function channels(color) {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    }
    function light(color) {
        const [r, g, b] = channels(color).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    }
    function contrast(a, b) {
        const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
        return (high + 0.05) / (low + 0.05);
    }
    const page = getComputedStyle(document.body).backgroundColor;
    return arguments[0].map(([selector, property, ground]) => {
        const element = document.querySelector(selector);
        const behind = ground === "page" ? page : getComputedStyle(document.querySelector(ground)).fill;
        return [selector, contrast(getComputedStyle(element)[property], behind)];
    });
"""
TEXT = (
    (".bars .bar-name", "color", "page"),
    (".bars .bar-share", "color", "page"),
    (".bars .open-end", "fill", "page"),
    (".gantt li", "color", "page"),
    (".gantt .tick", "fill", "page"),
    (".jump a", "color", "page"),
    ("symbol .in-cell", "fill", "symbol rect.voted"),
)
SHAPES = tuple(
    (selector, "fill", "page")
    for selector in (
        "rect.slot-critical",
        ".stack .part-adc",
        ".stack .part-array",
        ".stack .part-accumulation",
        "symbol rect.analog",
        "symbol rect.voted",
        "circle.snr-both",
        "circle.snr-so-far",
    )
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_drawings_can_be_read_in_both_schemes(clean, drawings, scheme):
    """4.5 for text and 3 for shapes that mean something: WCAG 2.2, 1.4.3 and 1.4.11."""
    show(clean, drawings, 1280, scheme=scheme)
    assert {name: ratio for name, ratio in clean.execute_script(CONTRAST, TEXT) if ratio < 4.5} == {}
    assert {name: ratio for name, ratio in clean.execute_script(CONTRAST, SHAPES) if ratio < 3} == {}


def test_a_module_opens_to_its_sites_and_a_site_leads_to_its_row(clean, drawings):
    show(clean, drawings, 1280)
    summary = find(clean, ".bars details summary")
    link = clean.find_element("css selector", ".bars details a")
    assert not link.is_displayed()
    summary.click()
    assert link.is_displayed()
    target = link.get_attribute("href").split("#")[1]
    link.click()
    assert "found" in find(clean, f"#{target}").get_attribute("class")


def test_on_paper_nothing_is_cut_off(clean, drawings):
    show(clean, drawings, 794, media="print")
    assert clean.execute_script("return document.documentElement.scrollWidth") <= 794
    shown = "return getComputedStyle(document.querySelector(arguments[0])).display"
    for selector in (".jump", ".controls", ".zoom"):
        assert clean.execute_script(shown, selector) == "none"
    for selector in (".bars", ".plans", ".gantt", "#site-table"):
        assert clean.execute_script(shown, selector) != "none"
    paper = clean.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(paper["data"]) > 50_000


@pytest.mark.parametrize("width", [390, 820])
def test_a_narrow_screen_needs_no_sideways_scrolling(page, width):
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    table = """
        const table = document.getElementById("site-table");
        return [table.scrollWidth, table.parentNode.clientWidth];
    """
    inner, outer = page.execute_script(table)
    assert inner <= outer
    page.execute_script("document.querySelector('#site-0 .open').click()")
    assert page.execute_script("const d = document.getElementById('detail'); return d.scrollWidth - d.clientWidth") <= 0
