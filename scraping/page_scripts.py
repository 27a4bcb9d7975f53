"""What the browser runs in a page: each is one step, which looks for what it needs in the page as it is then.

`TOOLS` goes before each of the others; a `page` there has tiles, fields and end of `selectors.Page`.
"""

TOOLS = """
const visible = selector => selector
  ? Array.from(document.querySelectorAll(selector)).find(e => e.checkVisibility() && !e.disabled) : undefined;
const value = (tile, [within, attributes]) => {
  const element = !within || tile.matches(within) ? tile : tile.querySelector(within);
  if (!element) return "";
  if (!attributes) return element.textContent.trim();
  const values = attributes.split("|").map(name => (element.getAttribute(name) || "").trim());
  return values.find(text => text && !text.startsWith("data:")) || "";
};
const tiles = page => Array.from(document.querySelectorAll(page.tiles)).filter(t => value(t, page.fields.picture));
const mark = page => {
  let digest = 0;
  for (const tile of tiles(page))
    for (const letter of value(tile, page.fields.picture) + "\\n")
      digest = (Math.imul(digest, 31) + letter.codePointAt(0)) | 0;
  return digest;
};
"""
SHOWN = "return arguments[0].find(([name, selector]) => visible(selector))?.[0] || '';"
READ = """
const page = arguments[0];
const read = tile => Object.fromEntries(Object.entries(page.fields).map(([name, where]) => [name, value(tile, where)]));
return [tiles(page).map(tile => ({...read(tile), base: document.baseURI})), mark(page)];
"""
PRESS = "const button = visible(arguments[0]); if (button) button.click(); return Boolean(button);"
REVEAL = """
const pressed = (document.tellapartPressed ??= new WeakSet());
const stay = event => event.preventDefault();
document.addEventListener("click", stay, true);
for (const element of document.querySelectorAll(arguments[0])) {
  if (pressed.has(element)) continue;
  pressed.add(element);
  for (const type of ["mouseover", "mousedown", "mouseup", "click"])
    element.dispatchEvent(new MouseEvent(type, {bubbles: true, cancelable: true, view: window}));
}
document.removeEventListener("click", stay, true);
"""
# Two frames after a scroll, the page has heard of it: what is loaded when seen is then on its way.
STEP = """
const [page, last, done] = arguments;
const bottom = document.documentElement.scrollHeight - innerHeight - scrollY < 2;
if (bottom) window.scrollBy(0, -100);
window.scrollBy(0, innerHeight * 0.8);
const all = document.querySelectorAll(page.tiles);
if (bottom && all.length) all[all.length - 1].scrollIntoView({block: "end"});
const tell = () => done(mark(page) !== last ? "changed" : visible(page.end) ? "end" : "");
const late = setTimeout(tell, 500);
requestAnimationFrame(() => requestAnimationFrame(() => { clearTimeout(late); tell(); }));
"""
LINK = """
const link = arguments[0] && document.querySelector(arguments[0]);
return link && link.href ? String(link.href) : "";
"""
STATUS = "return performance.getEntriesByType('navigation')[0]?.responseStatus || 0;"
