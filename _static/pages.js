/* Small additions to the theme; loaded by every page. */

/* Under a search result the theme shows text that it fetches from the page; browsers forbid that to pages opened as files. */
DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";

/* A page that is shown dark is printed light. */
{
  const page = document.documentElement.dataset;
  let shown;
  addEventListener("beforeprint", () => { shown = page.theme; page.theme = "light"; });
  addEventListener("afterprint", () => { page.theme = shown; });
}

/* A formula that is wider than a phone shrinks (book.css), but to no less than seven tenths; then it scrolls. */
addEventListener("load", async () => {
  await window.MathJax?.startup.promise;
  for (const drawing of document.querySelectorAll("mjx-container > svg")) {
    const width = drawing.getAttribute("width");
    if (parseFloat(width) > 28) { // in the unit ex
      drawing.style.minWidth = `calc(0.7 * ${width})`;
      drawing.closest(".math").classList.add("wide-formula");
    }
  }
});
