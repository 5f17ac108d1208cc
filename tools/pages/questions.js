/* Questions about the page that is open; loaded into every page as the object `questions`. */
const questions = (() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const box = e => e.getBoundingClientRect();
  const style = e => getComputedStyle(e);
  const shows = e => e.checkVisibility({ visibilityProperty: true }) && box(e).width > 0 && box(e).height > 0;

  /** Where an element is: the nearest id, its tag and class, the beginning of its text. */
  function name(e) {
    const anchor = e.closest("[id]");
    const kind = e.tagName.toLowerCase() + (e.classList.length ? "." + e.classList[0] : "");
    const text = e.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
    return [anchor && "#" + anchor.id, anchor !== e && kind, text && `"${text}"`].filter(Boolean).join(" ");
  }

  const report = (elements, detail) => elements.map(e => ({ element: name(e), detail: detail(e) }));

  // ---------------------------------------------------------------- markup

  function badTeX() {
    const raw = all(".math").filter(e => !e.querySelector("mjx-container"));
    return [...report(all("[data-mml-node=merror]"), e => e.dataset.mjxError),
            ...report(all("mtext[mathcolor=red]"), () => "unknown command"),
            ...report(raw, () => "not read as TeX: braces or delimiters do not match")];
  }

  function doubleIds() {
    const ids = all("[id]").map(e => e.id);
    const twice = new Set(ids.filter((id, i) => ids.indexOf(id) !== i));
    return [...twice].map(id => ({ element: "#" + id, detail: "id given twice" }));
  }

  function missingAlt() {
    const pictures = all("img").filter(i => !i.alt || /\.(png|svg)$|^_images|^\.\.\//.test(i.alt));
    const drawings = all(".bw-panel > svg").filter(s => !s.getAttribute("aria-label") && !s.getAttribute("aria-labelledby"));
    const formulas = all("mjx-container").filter(e => !e.querySelector("mjx-assistive-mml math"));
    return report([...pictures, ...drawings, ...formulas], () => "nothing for screen readers");
  }

  /** A chapter has a thousand formulas: the tab key must pass over them. */
  function tabStops() {
    return report(all("mjx-container[tabindex='0']"), () => "a formula stops the tab key");
  }

  function outsideAddresses() {
    const loaders = all("link[href], script[src], img[src], iframe[src], source[src], form[action]");
    const address = e => e.href || e.src || e.action;
    return report(loaders.filter(e => /^(https?|ftp):/.test(address(e))), address);
  }

  /** The links into the book, and the ids that links can lead to. */
  function links() {
    const inside = all("a[href]").filter(a => a.protocol === "file:");
    return { ids: all("[id]").map(e => e.id), links: inside.map(a => ({ href: a.href, element: name(a) })) };
  }

  /** Formulas lose their content and keep their size: what follows is about boxes, and much faster without it. */
  function emptyFormulas() {
    const formulas = all("mjx-container");
    for (const formula of formulas) {
      formula.querySelector("svg").replaceChildren();
      formula.querySelector("mjx-assistive-mml").remove();
    }
    return formulas.length;
  }

  /** Code loses its colours, which `faint` has judged. */
  function plainCode() {
    for (const code of all("pre")) code.textContent = code.textContent;
  }

  // ---------------------------------------------------------------- folds

  const FOLDS = "article .toggle-button, article summary";

  /** What a fold button shows and hides. */
  function content(button) {
    const fold = button.closest("details") || document.getElementById(button.dataset.target);
    return [...fold.children].filter(e => !e.matches("summary, .admonition-title") && (e.textContent.trim() || e.querySelector("img")));
  }

  const isFold = (button, open) => content(button).every(e => shows(e) === open);

  function wrongFolds(open) {
    return report(all(FOLDS).filter(b => !isFold(b, open)), () => open ? "its content does not show" : "its content shows");
  }

  function openFolds() {
    for (const button of all(FOLDS)) if (!isFold(button, true)) button.click();
  }

  /** Where to click on a fold's title, in the middle of the window. */
  function place(title) {
    title.scrollIntoView({ block: "center", behavior: "instant" });
    return [box(title).left + 40, box(title).top + 14];
  }

  // ---------------------------------------------------------------- code

  /** Copy with a button; wrong if the clipboard then holds something else than the code beside it. */
  async function badCopy(button) {
    button.click();
    const copied = (await navigator.clipboard.readText()).trim();
    const detail = `copies "${copied.split("\n")[0]}"`;
    return copied === codeBeside(button) ? [] : [{ element: name(button.parentElement), detail }];
  }

  /** What a reader wants to paste: of a dialogue with Python the typed lines, of other code everything. */
  function codeBeside(copyButton) {
    const code = copyButton.parentElement.querySelector("pre").textContent;
    const typed = code.split("\n").filter(line => /^(>>>|\.\.\.)( |$)/.test(line)).map(line => line.slice(4));
    return (typed.length ? typed.join("\n") : code).trim();
  }

  // ---------------------------------------------------------------- space

  /** What sticks out of the text column and is in no box of its own that scrolls. */
  function overflows() {
    const column = document.querySelector("article, .bd-search-container, .bd-article-container");
    const edge = Math.min(box(column).right, innerWidth) + 1;
    const scrolls = e => e && e !== column && (/auto|scroll/.test(style(e).overflowX) ? box(e).right <= edge : scrolls(e.parentElement));
    const wide = all("mjx-container, table, pre, code, img, svg, .admonition, .bw-fig *", column)
      .filter(e => box(e).right > edge && shows(e) && !e.parentElement.closest("mjx-container, pre, svg") && !scrolls(e));
    const page = document.scrollingElement.scrollWidth - innerWidth;
    const widest = all("body *").reduce((a, b) => box(b).right > box(a).right && !scrolls(b) ? b : a);
    const sideways = page > 0 ? [{ element: name(widest), detail: `the page scrolls sideways by ${page} px` }] : [];
    return [...sideways, ...report(wide, e => `sticks out by ${Math.ceil(box(e).right - edge)} px`)];
  }

  /** Formulas that a narrow column makes too small to read. */
  function shrunk(least) {
    const formulas = all("article mjx-container > svg").filter(shows);
    const widths = formulas.map(e => box(e).width);
    const full = document.head.appendChild(document.createElement("style"));
    full.textContent = "mjx-container > svg { max-width: none !important }";
    const shares = new Map(formulas.map((e, i) => [e, widths[i] / box(e).width]));
    full.remove();
    return report(formulas.filter(e => shares.get(e) < least), e => `shrinks to ${Math.round(100 * shares.get(e))} %`);
  }

  /** On paper nothing scrolls: boxes that hold more than they show. */
  function cutOff() {
    const narrow = all("article :is(div, pre, table)").filter(e => e.scrollWidth > e.clientWidth + 1 && shows(e));
    return report(narrow.filter(e => style(e).overflowX !== "visible"), e => `${e.scrollWidth - e.clientWidth} px are cut off`);
  }

  // ---------------------------------------------------------------- colours

  const painter = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const painted = new Map();

  /** Red, green, blue and opacity of a CSS colour, from 0 to 1. */
  function channels(colour) {
    if (!painted.has(colour)) {
      painter.clearRect(0, 0, 1, 1);
      painter.fillStyle = colour;
      painter.fillRect(0, 0, 1, 1);
      painted.set(colour, [...painter.getImageData(0, 0, 1, 1).data].map(c => c / 255));
    }
    return painted.get(colour);
  }

  /** The colour behind an element, translucent layers blended. */
  function ground(e) {
    if (!e) return [1, 1, 1];
    const [r, g, b, a] = channels(style(e).backgroundColor);
    return a === 1 ? [r, g, b] : ground(e.parentElement).map((below, i) => a * [r, g, b][i] + (1 - a) * below);
  }

  function brightness(rgb) {
    const [r, g, b] = rgb.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  function contrast(colour, e) {
    const [low, high] = [channels(colour).slice(0, 3), ground(e)].map(brightness).sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }

  const colourOf = e => style(e)[e.matches("svg text") ? "fill" : e.matches("svg *") ? "stroke" : "color"];

  /** One element for each kind of coloured word in code. */
  function codeColours() {
    return [...new Map(all("article pre span[class]").map(e => [e.className, e])).values()];
  }

  /** Formulas, code, words and lines of drawings whose colour is too near to what is behind; pictures not on white, but for those made for both themes. */
  function faint() {
    const words = [...all("article mjx-container, .bw-fig svg text"), ...codeColours()];
    const lines = all(".bw-fig svg :is(ellipse, circle, line:not(.axis), polyline, path)").filter(e => colourOf(e) !== "none");
    const weak = [...words.filter(e => contrast(colourOf(e), e) < 4.5), ...lines.filter(e => contrast(colourOf(e), e) < 3)];
    const dimmed = all("article img").filter(e => style(e).filter !== "none" && style(e).filter !== "brightness(1)");
    const tinted = document.documentElement.dataset.theme === "dark" ? all("article img:not(.dark-light)").filter(e => brightness(ground(e)) < 1) : [];
    return [...report(weak.filter(shows), e => `contrast ${contrast(colourOf(e), e).toFixed(2)}`),
            ...report([...dimmed, ...tinted], () => "a picture that is dimmed or not on white")];
  }

  function theme() {
    const { mode, theme } = document.documentElement.dataset;
    return { mode, theme, bright: brightness(ground(document.body)) > 0.5 };
  }

  // ---------------------------------------------------------------- figures, names, accessibility

  /** What a moving figure shows, and how many of its marks differ from a drawing: [place, attribute, value], ... */
  function figure(e, drawing) {
    const [slider, out, button] = ["input[type=range]", "output", "button"].map(selector => e.querySelector(selector));
    const marks = all("[data-m]", e);
    return { said: out.textContent, spoken: slider.getAttribute("aria-valuetext"), button: button.textContent,
             drawn: all("svg", e).map(s => s.innerHTML).join(""),
             astray: drawing.filter(([place, attribute, value]) => marks[place].getAttribute(attribute) !== value).length };
  }

  function playing() {
    return report(all(".bw-fig button").filter(shows), () => "Play is offered to readers who asked for less motion");
  }

  /** The first statement of the page whose name is without formulas. */
  function statement() {
    const titles = all(".admonition.proof:not(.proof-box) > .admonition-title").filter(t => !t.querySelector("mjx-container"));
    const named = titles.find(t => /\(.+\)/.test(t.textContent));
    return named && { name: named.textContent.match(/\((.+)\)/)[1], id: named.parentElement.id };
  }

  async function violations(rules) {
    const result = await axe.run(document, { runOnly: rules, resultTypes: ["violations"], preload: false });
    return result.violations.flatMap(v => v.nodes.map(n => ({ rule: v.id, element: n.target.join(" "), detail: v.help + " " + (n.any[0]?.message ?? "") })));
  }

  return {
    name, badTeX, doubleIds, missingAlt, tabStops, outsideAddresses, links, emptyFormulas, plainCode, wrongFolds, openFolds, place,
    codeBeside, badCopy, overflows, shrunk, cutOff, faint, theme, figure, playing, statement, violations,
  };
})();
