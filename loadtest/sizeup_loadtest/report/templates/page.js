"use strict";
// Recommends the smallest valid model that meets the requirements in the form.
(() => {
  const form = document.getElementById("requirements");
  const rows = [...document.querySelectorAll("table.glance tbody tr")];
  const ability = document.getElementById("min-ability");
  const speed = document.getElementById("min-speed");
  const output = document.getElementById("recommended");
  const meets = (row, key, minimum) => minimum <= 0 || Number(row.dataset[key]) >= minimum;
  const update = () => {
    const chosen = rows.findIndex((row) => !("invalid" in row.dataset)
      && meets(row, "ability", ability.valueAsNumber / 100 || 0)
      && meets(row, "speed", speed.valueAsNumber || 0));
    rows.forEach((row, i) => row.classList.toggle("chosen", i === chosen));
    output.textContent = chosen < 0 ? "→ no model is known to meet them"
      : "→ " + rows[chosen].querySelector(".model").textContent;
  };
  form.hidden = false;
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
})();
