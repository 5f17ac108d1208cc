(function () {
  const script = document.currentScript, root = script ? script.parentElement : document.getElementById("@ID");
  const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  const find = (selector) => root.querySelector(selector);
  const slider = find("input[type=range]"), out = find("output"), play = find("button"), panels = find(".bw-panels");
  const moving = panels.querySelectorAll("[data-m]");

  function pick(packed, index) {
    if (typeof packed === "string") return packed;
    if (packed.w) return packed.w.map((word) => pick(word, index)).join(" ").trimEnd();
    const place = (packed.s || data.strides).reduce((sum, stride, axis) => sum + stride * index[axis], 0);
    return packed.i ? packed.v[packed.i[place]] : (packed.l || packed)[place];
  }
  function show(index) {
    data.moves.forEach(([place, name, packed]) => moving[place].setAttribute(name, pick(packed, index)));
    out.textContent = pick(data.text, index);
    slider.setAttribute("aria-valuetext", out.textContent);
  }
  function draw() {
    show([...root.querySelectorAll("input:checked"), slider].map((input) => +input.value));
  }
  let timer = null;
  function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }
  function step() { slider.stepUp(); draw(); if (slider.value === slider.max) stop(); }
  play.addEventListener("click", function () {
    if (timer) { stop(); return; }
    if (slider.value === slider.max) { slider.value = 0; draw(); }
    play.textContent = "Pause";
    timer = setInterval(step, +play.dataset.pause);
  });
  root.addEventListener("input", function () {
    if (timer) stop();
    root.classList.add("bw-used");
    draw();
  });

  window.addEventListener("beforeprint", function () {
    if (timer) stop();
    data.paper.forEach(function ([index, caption]) {
      show(index);
      out.textContent = caption;
      [panels, out].forEach(function (part) {
        const copy = part.cloneNode(true);
        copy.classList.add("bw-copy");
        copy.querySelectorAll("[id]").forEach((named) => named.removeAttribute("id"));
        root.insertBefore(copy, panels);
      });
    });
    panels.hidden = out.hidden = true;
  });
  window.addEventListener("afterprint", function () {
    root.querySelectorAll(".bw-copy").forEach((copy) => copy.remove());
    panels.hidden = out.hidden = false;
    draw();
  });
  find(".bw-controls").hidden = false;
})();
