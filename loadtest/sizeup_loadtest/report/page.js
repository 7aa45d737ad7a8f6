"use strict";
// Moves the bar: which is the smallest size that reaches both numbers, by what was measured.
(() => {
  const form = document.getElementById("bar");
  const rows = [...document.querySelectorAll("table.glance tbody tr")];
  const ability = document.getElementById("ask-ability");
  const speed = document.getElementById("ask-speed");
  const told = document.getElementById("moved");
  const reaches = (row, key, asked) =>
    asked <= 0 ? true : key in row.dataset ? Number(row.dataset[key]) >= asked : null;
  const judge = () => {
    const asked = [["ability", ability.valueAsNumber / 100 || 0], ["speed", speed.valueAsNumber || 0]];
    const chosen = rows.findIndex((row) => !("broken" in row.dataset)
      && asked.every(([key, value]) => reaches(row, key, value) === true));
    rows.forEach((row, i) => row.classList.toggle("chosen", i === chosen));
    told.textContent = chosen < 0 ? "→ no size is known to pass"
      : "→ " + rows[chosen].querySelector(".model").textContent;
  };
  form.hidden = false;
  form.addEventListener("input", judge);
  form.addEventListener("submit", (event) => event.preventDefault());
})();
