"use strict";
(() => {
  for (const image of document.querySelectorAll(".tile img")) {
    const sharpen = () => image.classList.toggle("small", image.naturalWidth < 48);
    if (image.complete) sharpen();
    else image.addEventListener("load", sharpen);
  }

  const number = (text) => (text === "" || text === undefined ? NaN : Number(text));
  // What is undefined comes last, whichever way the rest is sorted.
  const sorted = (elements, value, falling) =>
    elements
      .map((element) => [element, value(element)])
      .sort(([, p], [, q]) => Number.isNaN(p) - Number.isNaN(q) || (falling ? q - p : p - q) || 0)
      .map(([element]) => element);

  const cards = [...document.querySelectorAll(".concept")];
  const holder = document.getElementById("cards");
  const status = document.getElementById("status");
  const press = (selector, chosen) => {
    for (const button of document.querySelectorAll(selector)) {
      button.setAttribute("aria-pressed", String(button === chosen));
    }
  };

  for (const button of document.querySelectorAll("[data-of]")) {
    button.addEventListener("click", () => {
      press("[data-of]", button);
      for (const card of cards) {
        card.hidden = button.dataset.of !== "" && card.dataset.side !== button.dataset.of;
      }
      const shown = cards.filter((card) => !card.hidden).length;
      status.textContent = `${shown} of ${cards.length} concepts`;
    });
  }

  for (const button of document.querySelectorAll("[data-by]")) {
    button.addEventListener("click", () => {
      press("[data-by]", button);
      const attribute = `data-${button.dataset.by.replace("_", "-")}`;
      const value = (card) => number(card.getAttribute(attribute));
      holder.append(...sorted(cards, value, button.dataset.falling !== ""));
      status.textContent = `Sorted by ${button.textContent.trim()}`;
    });
  }

  for (const link of document.querySelectorAll(".tables a")) {
    // A card that the choice above hides must come back when it is asked for.
    link.addEventListener("click", () => {
      const card = document.getElementById(link.hash.slice(1));
      if (card.hidden) document.querySelector('[data-of=""]').click();
    });
  }

  for (const table of document.querySelectorAll(".sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const value = (row) => number(row.cells[column].dataset.value);
        body.append(...sorted([...body.rows], value, falling));
      });
    });
  }

  document.documentElement.dataset.ready = "true";
})();
