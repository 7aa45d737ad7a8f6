"use strict";
// Applies the requirements in the form, by the rule of analysis/verdict.py, to the sentence, the
// cards and the shaded areas of the charts.
(() => {
  const rules = JSON.parse(document.getElementById("rules").textContent);
  const form = document.getElementById("requirements");
  const sentence = document.getElementById("sentence");
  const number = (value) => value.toLocaleString("en-US", { maximumSignificantDigits: 10 });
  const bound = (rule, limits) => `${rule.minimum ? "≥" : "≤"} ${number(limits[rule.key].shown)} ${rule.unit}`;
  const unbroken = (text) => text.replaceAll(/ ([≥≤]) /g, "\u00a0$1\u00a0").replaceAll(" %", "\u00a0%");
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]);

  function state(model, rule, limits) {
    if (!model.measured[rule.key]) return "unknown";
    const value = model.measured[rule.key][0], limit = limits[rule.key].value;
    return (rule.minimum ? value >= limit : value <= limit) ? "met" : "missed";
  }

  function check(model, set, limits) {
    if (!model.valid) return "invalid";
    const states = set.map((rule) => state(model, rule, limits));
    return ["missed", "unknown", "met"].find((one) => states.includes(one)) ?? "";
  }

  function describe(set, limits, checks, chosen) {
    if (!set.length) return rules.sentences.unset;
    const requirements = set.map((rule) => `${rule.name} ${bound(rule, limits)}`).join(", ");
    const before = chosen < 0 ? rules.models : rules.models.slice(0, chosen);
    const unknown = before.filter((_, i) => checks[i] === "unknown").map((model) => model.name);
    const end = unknown.length ? fill(rules.sentences.unmeasured, { names: unknown.join(", ") }) : "";
    if (chosen < 0) return fill(rules.sentences.none, { requirements }) + end;
    const { name, measured } = rules.models[chosen];
    const close = set.filter(({ key }) => measured[key][1] < limits[key].value
      && limits[key].value < measured[key][2] && measured[key][1] !== null);
    const names = close.map((rule) => rule.name).join(" and ");
    return fill(rules.sentences.chosen, { requirements, name })
      + (names ? fill(rules.sentences.close, { names }) : "") + (limits.ability ? "" : rules.sentences.no_ability) + end;
  }

  function shade(group, limits) {
    const rect = group.querySelector("rect"), label = group.querySelector("text");
    const [left, right] = side(JSON.parse(group.dataset.x), limits);
    const [bottom, top] = side(JSON.parse(group.dataset.y), limits);
    const place = { x: left, y: top, width: right - left, height: bottom - top };
    for (const [key, value] of Object.entries(place)) rect.setAttribute(key, value);
    label.setAttribute("x", right - 8);
    label.setAttribute("y", top + 17);
    const keys = [group.dataset.x, group.dataset.y].map((axis) => JSON.parse(axis).key);
    group.setAttribute("visibility", keys.some((key) => limits[key]) ? "visible" : "hidden");
  }

  function side({ key, minimum, log, low, high, begin, end }, limits) {
    if (!limits[key]) return [begin, end];
    const at = log ? Math.log : (value) => value;
    const share = (at(Math.max(limits[key].value, log ? low : 0)) - at(low)) / (at(high) - at(low));
    const pixel = begin + Math.min(1, Math.max(0, share)) * (end - begin);
    return minimum ? [pixel, end] : [begin, pixel];
  }

  function update() {
    const limits = {};
    for (const { key, scale } of rules.requirements) {
      const shown = form.elements[key]?.valueAsNumber;
      if (Number.isFinite(shown)) limits[key] = { shown, value: shown / scale };
    }
    const set = rules.requirements.filter(({ key }) => limits[key]);
    const checks = rules.models.map((model) => check(model, set, limits));
    const chosen = checks.indexOf("met");
    const text = unbroken(describe(set, limits, checks, chosen));
    const name = chosen < 0 ? null : ` is ${rules.models[chosen].name}.`;
    const split = name === null ? -1 : text.indexOf(name);
    sentence.textContent = split < 0 ? text : `${text.slice(0, split)} is `;
    if (split >= 0) {
      const strong = document.createElement("strong");
      strong.textContent = rules.models[chosen].name;
      sentence.append(strong, `.${text.slice(split + name.length)}`);
    }
    rules.models.forEach((model, i) => {
      for (const one of document.querySelectorAll(`.card.s${i}, #picture .s${i}`)) one.classList.toggle("chosen", i === chosen);
      for (const one of document.querySelectorAll(`.neighbours[data-of="s${i}"]`)) one.hidden = i !== chosen;
      const card = document.querySelector(`.card.s${i}`);
      card.querySelector(".passes").textContent = rules.verdicts[checks[i]];
      for (const rule of rules.requirements) {
        const line = card.querySelector(`[data-key="${rule.key}"]`), given = limits[rule.key];
        line.querySelector(".mark").textContent = given ? rules.marks[state(model, rule, limits)] : "";
        line.querySelector(".limit").textContent = given ? unbroken(bound(rule, limits)) : "";
      }
    });
    for (const group of document.querySelectorAll("svg .bounds")) shade(group, limits);
  }

  form.hidden = false;
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
})();
