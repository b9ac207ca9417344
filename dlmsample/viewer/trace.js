"use strict";
// The page of recorded runs: a viewer for each answer, drawn when the answer is first opened.
(() => {
  const { Run, Viewer } = window.dlmsample;
  const answers = JSON.parse(document.getElementById("data").textContent);
  for (const details of document.querySelectorAll("details.answer")) {
    const draw = () => {
      const root = details.querySelector(".steps");
      if (!details.open || root.dataset.drawn) return;
      root.dataset.drawn = "yes";
      new Viewer(root, answers[Number(details.dataset.number) - 1].map((given) => new Run(given)));
    };
    details.addEventListener("toggle", draw);
    draw();
  }
})();
