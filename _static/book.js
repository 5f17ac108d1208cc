/* Cards: a reference to a statement or a formula shows its text while it is pointed at or focused.
   The link itself works as ever; Escape puts the card away; touching a link follows it.
   Maps: pointing at a box lights its arrows.
   The Tab key stops at links and at displayed formulas, which may scroll, not at every symbol. */
"use strict";
const bookCards = {};

document.addEventListener("DOMContentLoaded", () => {
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const card = document.createElement("div");
  card.className = "book-card bd-content";
  card.id = "book-card";
  card.setAttribute("role", "tooltip");
  card.hidden = true;
  document.body.append(card);
  let link = null, timer = 0, focused = null;

  function target(node) {
    const found = node instanceof Element && node.closest("main a[href*='#']:not(.headerlink)");
    if (!found) return null;
    const url = new URL(found.getAttribute("href"), location.href);
    if (!/^#(thm|prop|lem|cor|def|equation)-/.test(url.hash)) return null;
    const page = decodeURI(url.pathname.slice(root.pathname.length)).replace(/\.html$/, "");
    return { found, page, anchor: decodeURIComponent(url.hash.slice(1)) };
  }

  function load(page) {
    if (page in bookCards) return Promise.resolve();
    return new Promise((done) => {
      const script = document.createElement("script");
      script.src = new URL(`_static/cards/${page}.js`, root);
      script.onload = script.onerror = done;
      document.head.append(script);
    });
  }

  function hide() {
    clearTimeout(timer);
    focused = null;
    if (link) link.removeAttribute("aria-describedby");
    link = null;
    card.hidden = true;
  }

  async function show({ found, page, anchor }) {
    hide();
    link = found;
    await load(page);
    const text = (bookCards[page] || {})[anchor];
    if (link !== found || !text) return;
    card.innerHTML = text;
    card.style.visibility = "hidden";
    card.hidden = false;
    if (window.MathJax && MathJax.typesetPromise) {
      MathJax.typesetClear([card]);
      await MathJax.typesetPromise([card]);
    }
    if (link !== found) return;
    for (const node of card.querySelectorAll("[tabindex]")) node.removeAttribute("tabindex");
    const at = found.getClientRects()[0], room = 8;
    const left = Math.min(at.left, document.documentElement.clientWidth - card.offsetWidth - room);
    const below = at.bottom + room + card.offsetHeight < innerHeight || at.top < innerHeight / 2;
    card.style.left = `${Math.max(room, left)}px`;
    card.style.top = `${below ? at.bottom + room : Math.max(room, at.top - room - card.offsetHeight)}px`;
    card.style.visibility = "";
    link.setAttribute("aria-describedby", card.id);
  }

  function soon(action, wait) {
    clearTimeout(timer);
    timer = setTimeout(action, wait);
  }

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const wanted = target(event.target);
    if (card.contains(event.target)) clearTimeout(timer);
    else if (wanted && wanted.found === link) clearTimeout(timer);
    else if (wanted) soon(() => show(wanted), wanted.found.closest("svg") ? 800 : 300);
    else if (link || timer) soon(hide, 250);
  });
  document.addEventListener("focusin", (event) => {
    hide();
    if (event.target.matches(":focus-visible")) focused = target(event.target);
    if (focused) soon(() => show(focused), 150);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.addEventListener("click", (event) => { if (!card.contains(event.target)) hide(); });
  document.addEventListener("scroll", () => {
    if (focused) soon(() => show(focused), 150);  // the page is scrolling to the focused link
    else hide();
  }, { passive: true });

  if (window.MathJax && MathJax.startup) {
    MathJax.startup.promise.then(() => {
      for (const symbol of document.querySelectorAll("mjx-container:not([display])")) symbol.removeAttribute("tabindex");
    });
  }

  for (const title of document.querySelectorAll("svg.map a > title")) title.remove();  // the card takes its place
  function light(event) {
    const box = event.target instanceof Element && event.target.closest("svg.map .map-box");
    for (const arrow of document.querySelectorAll("svg.map .map-arrows > g")) {
      const joins = [arrow.dataset.from, arrow.dataset.to];
      arrow.classList.toggle("map-lit", Boolean(box) && joins.includes(box.dataset.name));
    }
  }
  if (document.querySelector("svg.map")) {
    document.addEventListener("pointerover", light);
    document.addEventListener("focusin", light);
  }
});
