/* Check every page of a built book in a real browser, from its files and without a network.
 *
 *     node check.mjs FOLDER BROWSER        (`make check-pages` does it with _build/html and Chromium)
 *
 * Beside the folder lies figures.json: what the moving figures must show (check.sh lets figure_readouts.py write it).
 *
 * Prints a table and what is wrong, writes both to pages.json beside the folder, and fails if anything is wrong.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const HEAVIEST = 3e6; // bytes of a page and what it loads, MathJax aside
const PATIENCE = { timeout: 20000 }; // milliseconds
const LISTED = 5; // findings of one check on one page
const DESK = { width: 1280, height: 900 };
const PHONES = [{ width: 390, height: 844 }, { width: 360, height: 740 }];
const PAPER = { width: 642, height: 1000 }; // A4 without its margins
const SMALLEST = { desk: 0.75, phone: 0.6 }; // a formula may shrink to this share of its size
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const FOLDS = "article .toggle-button, article summary";
const TITLES = "article .admonition-title[data-target], article summary";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
               "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"];

const HERE = path.dirname(fileURLToPath(import.meta.url));
const QUESTIONS = fs.readFileSync(path.join(HERE, "questions.js"), "utf8");
const READOUTS = JSON.parse(fs.readFileSync(path.join(process.argv[2], "..", "figures.json"), "utf8"));
const AXE = fs.readFileSync(path.join(HERE, "node_modules", "axe-core", "axe.min.js"), "utf8");

/** A page of the book: what was measured, and what is wrong. */
class Page {
  constructor(root, file) {
    this.name = path.relative(root, file);
    this.address = pathToFileURL(file).href;
    this.requested = new Set();
    this.findings = [];
  }

  add(check, element, detail) {
    this.findings.push({ check, element, detail });
  }

  addAll(check, found) {
    for (const { element, detail } of found) this.add(check, element, detail);
  }
}

function listen(tab, page) {
  tab.on("request", request => {
    const address = request.url();
    if (address.startsWith("file:")) page.requested.add(fileURLToPath(address.replace(/[?#].*/, "")));
    else if (!/^(data|blob):/.test(address)) page.add("network", "page", `asks for ${address}`);
  });
  tab.on("requestfailed", request => page.add("request", request.url(), request.failure().errorText));
  tab.on("pageerror", error => page.add("script", "page", error.message));
  tab.on("console", message => message.type() === "error" && page.add("console", "page", message.text()));
}

// ---------------------------------------------------------------- the checks, in the order in which they run

async function loading(tab, page) {
  const now = () => tab.evaluate(() => Math.round(performance.now()));
  await tab.goto(page.address, { waitUntil: "load" });
  page.loaded = await now();
  await tab.evaluate(() => window.MathJax?.startup.promise);
  page.ready = await now();
  const files = [...page.requested].filter(file => fs.existsSync(file) && !file.includes(`${path.sep}mathjax${path.sep}`));
  page.bytes = files.reduce((sum, file) => sum + fs.statSync(file).size, 0);
  if (page.bytes > HEAVIEST) page.add("weight", "page", `${(page.bytes / 1e6).toFixed(1)} MB`);
  await tab.evaluate(`${QUESTIONS}; window.questions = questions;`);
}

async function markup(tab, page) {
  page.addAll("TeX", await tab.evaluate(() => questions.badTeX()));
  page.addAll("id", await tab.evaluate(() => questions.doubleIds()));
  page.addAll("alt text", await tab.evaluate(() => questions.missingAlt()));
  page.addAll("tab key", await tab.evaluate(() => questions.tabStops()));
  page.addAll("outside", await tab.evaluate(() => questions.outsideAddresses()));
  Object.assign(page, await tab.evaluate(() => questions.links()));
  page.formulas = await tab.evaluate(() => questions.emptyFormulas());
}

/** Every fold is opened and closed, once by the mouse and once by a key. */
async function folds(tab, page) {
  const [buttons, titles] = [await tab.$$(FOLDS), await tab.$$(TITLES)];
  const byMouse = async i => tab.mouse.click(...await titles[i].evaluate(title => questions.place(title)));
  const byKey = i => buttons[i].press(i % 4 < 2 ? "Enter" : "Space");
  const order = [...buttons.keys()];
  page.folds = buttons.length;
  for (const i of order) await (i % 2 ? byMouse : byKey)(i);
  page.addAll("fold", await tab.evaluate(() => questions.wrongFolds(true)));
  for (const i of order.reverse()) await (i % 2 ? byKey : byMouse)(i);
  page.addAll("fold", await tab.evaluate(() => questions.wrongFolds(false)));
}

async function paper(tab, page) {
  await tab.setViewport(PAPER);
  await tab.emulateMediaType("print");
  page.addAll("print", await tab.evaluate(() => questions.wrongFolds(true)));
  page.addAll("print", await tab.evaluate(() => [...questions.overflows(), ...questions.cutOff()]));
  page.addAll("print", await tab.evaluate(least => questions.shrunk(least), SMALLEST.desk));
  await tab.emulateMediaType("screen");
  await tab.setViewport(DESK);
}

async function copying(tab, page) {
  await tab.evaluate(() => questions.openFolds());
  const buttons = await tab.$$("article .copybtn");
  page.copies = buttons.length;
  for (const button of buttons) page.addAll("copy", await alone(() => button.evaluate(b => questions.badCopy(b))));
  if (!buttons.length) return;
  const [copied, code] = await alone(async () => {
    await buttons[0].click();
    return buttons[0].evaluate(async b => [await navigator.clipboard.readText(), questions.codeBeside(b)]);
  });
  if (copied.trim() !== code) page.add("copy", "the first button", "a click of the mouse does not copy");
}

let turn = Promise.resolve();

/** All pages share one clipboard: who uses it waits for those before. */
function alone(work) {
  return turn = turn.then(work, work);
}

/** Moved by keys alone, each figure shows what Python wrote (figure_readouts.py). */
async function figures(tab, page) {
  const found = await tab.$$(".bw-fig");
  page.figures = found.length;
  const wanted = new Map((READOUTS[page.name] ?? []).map(figure => [figure.id, figure]));
  for (const figure of found) {
    const id = await figure.evaluate(e => e.id);
    if (wanted.has(id)) page.addAll("figure", await disagreements(tab, figure, wanted.get(id)));
    else page.add("figure", `#${id}`, "is not the one of the notebook");
  }
  await tab.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
  page.addAll("figure", await tab.evaluate(() => questions.playing()));
  await tab.emulateMediaFeatures([]);
}

async function disagreements(tab, figure, { id, start, positions }) {
  const wrong = [], pictures = new Set();
  const complain = detail => wrong.push({ element: `#${id}`, detail });
  const state = drawing => figure.evaluate((e, d) => questions.figure(e, d), drawing);
  if ((await state([])).said !== start) complain("does not start where Python left it");
  for (const { index, text, drawing } of positions) {
    await moveTo(tab, figure, index);
    const { said, spoken, astray, drawn } = await state(drawing);
    if (said !== text || spoken !== text) complain(`at ${index} shows "${said}", speaks "${spoken}", should be "${text}"`);
    if (astray) complain(`at ${index}: ${astray} marks are not where Python put them`);
    pictures.add(drawn);
  }
  if (pictures.size < positions.length) complain("the picture does not change");
  const [play, before] = [await figure.$("button"), await state([])];
  await play.press("Enter");
  await tab.waitForFunction((e, drawn) => questions.figure(e, []).drawn !== drawn, PATIENCE, figure, before.drawn)
    .catch(() => complain("Play does not move it"));
  await play.press("Enter");
  if ((await state([])).button !== "Play") complain("Pause does not stop it");
  return wrong;
}

/** The controls of a figure are moved to a position by arrow keys. */
async function moveTo(tab, figure, index) {
  for (const [i, group] of (await figure.$$("fieldset")).entries()) {
    const option = await group.$("input:checked");
    const steps = index[i] - await option.evaluate(e => e.value);
    await option.focus();
    for (let n = 0; n < Math.abs(steps); n++) await tab.keyboard.press(steps > 0 ? "ArrowRight" : "ArrowLeft");
  }
  const slider = await figure.$("input[type=range]");
  await slider.press("Home");
  for (let n = 0; n < index.at(-1); n++) await slider.press("ArrowRight");
}

async function themes(tab, page) {
  for (const mode of ["dark", "light", "auto"]) {
    await tab.focus(".theme-switch-button");
    await tab.keyboard.press("Enter");
    const now = await tab.evaluate(() => questions.theme());
    if (now.mode !== mode || now.bright !== (mode !== "dark")) page.add("theme", "page", `${mode} shows ${JSON.stringify(now)}`);
    if (mode !== "auto") page.addAll(`contrast, ${mode}`, await tab.evaluate(() => questions.faint()));
  }
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  await tab.waitForFunction(() => !questions.theme().bright, PATIENCE)
    .catch(() => page.add("theme", "page", "auto does not follow a dark system"));
  const printed = await tab.evaluate(() => { dispatchEvent(new Event("beforeprint")); return questions.theme(); });
  if (!printed.bright) page.add("print", "page", "a dark page is printed dark");
  await tab.evaluate(() => dispatchEvent(new Event("afterprint")));
}

/** All rules where the page is light; where it is dark, the contrast. */
async function accessibility(tab, page) {
  await tab.evaluate(AXE);
  await tab.evaluate(() => questions.plainCode());
  await tab.mouse.move(0, 0);
  await tab.evaluate(() => document.activeElement.blur());
  const violations = async rules => {
    await tab.waitForFunction(() => !document.querySelector(".tooltip") && !document.getAnimations().length, PATIENCE);
    const found = await tab.evaluate(r => questions.violations(r), rules);
    for (const { rule, element, detail } of found) page.add(`axe, ${rule}`, element, detail);
  };
  await violations(["color-contrast"]);
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  await tab.waitForFunction(() => questions.theme().bright, PATIENCE);
  await violations(RULES);
}

async function widths(tab, page) {
  for (const size of [DESK, ...PHONES]) {
    await tab.setViewport(size);
    const least = size === DESK ? SMALLEST.desk : SMALLEST.phone;
    page.addAll(`${size.width} px`, await tab.evaluate(x => [...questions.overflows(), ...questions.shrunk(x)], least));
  }
  await tab.setViewport(DESK);
}

/** The name of a statement, typed into the search, leads to the statement. */
async function searching(tab, page) {
  const wanted = await tab.evaluate(() => questions.statement());
  if (!wanted) return;
  await tab.keyboard.down("Control");
  await tab.keyboard.press("k");
  await tab.keyboard.up("Control");
  await tab.keyboard.type(wanted.name);
  await Promise.all([tab.waitForNavigation(), tab.keyboard.press("Enter")]);
  await tab.waitForFunction(() => document.querySelector("#search-results h2")?.textContent === "Search Results", PATIENCE);
  const results = await tab.$$eval("ul.search a", links => links.map(a => a.href));
  if (!results.slice(0, 3).includes(`${page.address}#${wanted.id}`)) {
    page.add("search", wanted.name, `not among the first three of ${results.length} results`);
  }
}

const CHECKS = [loading, markup, folds, paper, copying, figures, themes, accessibility, widths, searching];

/** Links between pages, when all pages have told their ids. */
function links(pages) {
  const ids = new Map(pages.map(page => [page.address, new Set(page.ids)]));
  for (const page of pages) {
    for (const { href, element } of page.links ?? []) {
      const [address, anchor] = href.split("#");
      const target = address.replace(/\?.*/, "");
      if (!fs.existsSync(fileURLToPath(target))) page.add("link", element, `${href} does not exist`);
      else if (anchor && ids.has(target) && !ids.get(target).has(decodeURIComponent(anchor))) page.add("link", element, `no anchor ${href}`);
    }
  }
}

// ---------------------------------------------------------------- all pages

/** The pages of the folder; its index.html only leads to the first one. */
function pagesOf(root) {
  const files = fs.readdirSync(root, { recursive: true }).filter(file => file.endsWith(".html") && !/^(index\.html$|_)/.test(file));
  return files.sort().map(file => new Page(root, path.join(root, file)));
}

async function check(browser, page) {
  const context = await browser.createBrowserContext();
  const session = await browser.target().createCDPSession();
  await session.send("Browser.grantPermissions", { permissions: ["clipboardReadWrite"], browserContextId: context.id });
  const tab = await context.newPage();
  await tab.setViewport(DESK);
  listen(tab, page);
  for (const step of CHECKS) {
    await step(tab, page).catch(error => page.add(step.name, "page", error.message));
  }
  await context.close();
}

/** As many pages at a time as there are processors, in one browser. */
async function checkAll(pages, executablePath) {
  const browser = await puppeteer.launch({ executablePath, args: FLAGS });
  const waiting = [...pages];
  const work = async () => {
    while (waiting.length) await check(browser, waiting.shift());
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, work));
  await browser.close();
  links(pages);
}

const COLUMNS = {
  page: p => p.name, kB: p => Math.round(p.bytes / 1000), "ms to load": p => p.loaded, "with formulas": p => p.ready,
  formulas: p => p.formulas, folds: p => p.folds, copies: p => p.copies, figures: p => p.figures, wrong: p => p.findings.length,
};

function print(pages) {
  const names = Object.keys(COLUMNS);
  const rows = [names, ...pages.map(p => names.map(name => String(COLUMNS[name](p))))];
  const wide = names.map((_, i) => Math.max(...rows.map(row => row[i].length)));
  for (const row of rows) console.log(row.map((cell, i) => i ? cell.padStart(wide[i]) : cell.padEnd(wide[i])).join("  "));
  for (const page of pages) {
    for (const check of new Set(page.findings.map(f => f.check))) list(page, check);
  }
}

/** The first findings of one check on one page; pages.json has all of them. */
function list(page, check) {
  const found = page.findings.filter(f => f.check === check);
  for (const { element, detail } of found.slice(0, LISTED)) console.log(`${page.name}: ${check}: ${element}: ${detail}`);
  if (found.length > LISTED) console.log(`${page.name}: ${check}: ${found.length - LISTED} more`);
}

function save(pages, file) {
  const rows = pages.map(p => ({ ...Object.fromEntries(Object.entries(COLUMNS).map(([name, of]) => [name, of(p)])), findings: p.findings }));
  fs.writeFileSync(file, JSON.stringify(rows, null, 1) + "\n");
}

const [root, browser] = process.argv.slice(2);
const pages = pagesOf(path.resolve(root));
const start = Date.now();
await checkAll(pages, browser);
print(pages);
save(pages, path.join(root, "..", "pages.json"));
const wrong = pages.reduce((sum, page) => sum + page.findings.length, 0);
console.log(`${pages.length} pages in ${Math.round((Date.now() - start) / 1000)} s: ${wrong ? `${wrong} findings` : "nothing wrong"}.`);
process.exit(wrong ? 1 : 0);
